"""Steps 15, 17, 19 and 20: the guest itself."""

from __future__ import annotations

import asyncio

from kilonova.compute.agent.plugging import plugged
from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.models import Vif
from kilonova.compute.properties import hardware
from kilonova.compute.virt.driver import GuestInterface, GuestSpec, PowerState

DEFAULT_CMDLINE = "root=/dev/{root} console=tty0 console=ttyS0"
OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)
ROOTS = {"virtio": "vda"}  # bus → what a guest calls its first disk; others are sda


class Define(OperationStep):
    async def do(self, operation: Operation) -> None:
        await operation.host.driver.define(guest_spec(operation))

    async def undo(self, operation: Operation) -> None:
        await operation.host.driver.destroy(operation.uuid)
        if operation.origin.is_new:
            await operation.host.driver.undefine(operation.uuid)


def guest_interface(operation: Operation, vif: Vif) -> GuestInterface:
    """An interface as the driver is to make it."""
    spec, driver = operation.build.spec, operation.host.driver
    devices = hardware(spec.image.properties if spec.image is not None else {}, spec.flavor.extra_specs)
    model = devices.get("hw_vif_model") or "virtio"
    return GuestInterface(mac=vif.mac_address, vif=plugged(driver, vif), mtu=vif.mtu, model=model)


def guest_spec(operation: Operation) -> GuestSpec:
    """The guest as the driver is to define it."""
    server, spec = operation.build.server, operation.build.spec
    image = spec.image
    properties = image.properties if image is not None else {}
    devices = hardware(properties, spec.flavor.extra_specs)
    default = DEFAULT_CMDLINE.format(root=ROOTS.get(operation.disks[0].bus, "sda") if operation.disks else "vda")
    return GuestSpec(
        uuid=server.uuid,
        name=operation.host.options.instance_name_template % server.number,
        title=server.name,
        flavor=spec.flavor.name,
        owner=server.project_id,
        vcpus=spec.flavor.vcpus,
        memory_mb=spec.flavor.memory_mb,
        disks=tuple(operation.disks),
        interfaces=tuple(guest_interface(operation, vif) for vif in operation.vifs),
        kernel=operation.kernel,
        initrd=operation.initrd,
        cmdline=properties.get("os_command_line", default) if operation.kernel is not None else "",
        console_log=operation.host.driver.disks.console_log(server.uuid),
        machine=properties.get("hw_machine_type"),
        properties=devices,
    )


class Start(OperationStep):
    """Paused where a network must report first, so that no packet leaves before its filters are known to stand."""

    async def do(self, operation: Operation) -> None:
        await operation.host.driver.start(operation.uuid, paused=bool(operation.vifs))

    async def undo(self, operation: Operation) -> None:
        await operation.host.driver.destroy(operation.uuid)


class Resume(OperationStep):
    async def do(self, operation: Operation) -> None:
        if operation.vifs:
            await operation.host.driver.resume(operation.uuid)


class Running(OperationStep):
    """RUNNING is seen, by the hypervisor's event or already."""

    async def do(self, operation: Operation) -> None:
        driver = operation.host.driver
        event = operation.host.power.next(operation.uuid)
        operation.power_state = await driver.power_state(operation.uuid)
        if operation.power_state not in (PowerState.RUNNING, *OFF):  # a guest that is off already sends no event
            async with asyncio.timeout(operation.host.options.running_timeout):
                await event
            operation.power_state = await driver.power_state(operation.uuid)
        if operation.power_state is not PowerState.RUNNING:
            raise Explained(f"the guest is {operation.power_state.name} instead of RUNNING")
