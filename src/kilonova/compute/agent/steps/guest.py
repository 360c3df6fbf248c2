"""Steps 15, 17, 19 and 20: the guest itself."""

from __future__ import annotations

import asyncio

from kilonova.compute.agent.launch import Launch, LaunchStep
from kilonova.compute.agent.plugging import plugged
from kilonova.compute.agent.reasons import Explained
from kilonova.compute.properties import hardware
from kilonova.compute.virt.driver import GuestInterface, GuestSpec, PowerState

DEFAULT_CMDLINE = "root=/dev/{root} console=tty0 console=ttyS0"
OFF = (PowerState.SHUTDOWN, PowerState.CRASHED)
ROOTS = {"virtio": "vda"}  # bus → what a guest calls its first disk; others are sda


class Define(LaunchStep):
    async def do(self, launch: Launch) -> None:
        await launch.host.driver.define(guest_spec(launch))

    async def undo(self, launch: Launch) -> None:
        await launch.host.driver.destroy(launch.uuid)
        if launch.is_new():
            await launch.host.driver.undefine(launch.uuid)


def guest_spec(launch: Launch) -> GuestSpec:
    """The guest as the driver is to define it."""
    server, spec = launch.build.server, launch.build.spec
    image = spec.image
    properties = image.properties if image is not None else {}
    devices = hardware(properties, spec.flavor.extra_specs)
    model = devices.get("hw_vif_model") or "virtio"
    default = DEFAULT_CMDLINE.format(root=ROOTS.get(launch.disks[0].bus, "sda") if launch.disks else "vda")
    return GuestSpec(
        uuid=server.uuid,
        name=launch.host.options.instance_name_template % server.number,
        title=server.name,
        flavor=spec.flavor.name,
        owner=server.project_id,
        vcpus=spec.flavor.vcpus,
        memory_mb=spec.flavor.memory_mb,
        disks=tuple(launch.disks),
        interfaces=tuple(
            GuestInterface(mac=vif.mac_address, vif=plugged(launch.host.driver, vif), mtu=vif.mtu, model=model)
            for vif in launch.vifs
        ),
        kernel=launch.kernel,
        initrd=launch.initrd,
        cmdline=properties.get("os_command_line", default) if launch.kernel is not None else "",
        console_log=launch.host.driver.disks.console_log(server.uuid),
        machine=properties.get("hw_machine_type"),
        properties=devices,
    )


class Start(LaunchStep):
    """Paused where a network must report first, so that no packet leaves before its filters are known to stand."""

    async def do(self, launch: Launch) -> None:
        await launch.host.driver.start(launch.uuid, paused=bool(launch.vifs))

    async def undo(self, launch: Launch) -> None:
        await launch.host.driver.destroy(launch.uuid)


class Resume(LaunchStep):
    async def do(self, launch: Launch) -> None:
        if launch.vifs:
            await launch.host.driver.resume(launch.uuid)


class Running(LaunchStep):
    """RUNNING is seen, by the hypervisor's event or already."""

    async def do(self, launch: Launch) -> None:
        driver = launch.host.driver
        event = launch.host.power.next(launch.uuid)
        launch.power_state = await driver.power_state(launch.uuid)
        if launch.power_state not in (PowerState.RUNNING, *OFF):  # what is off already tells of nothing more
            async with asyncio.timeout(launch.host.options.running_timeout):
                await event
            launch.power_state = await driver.power_state(launch.uuid)
        if launch.power_state is not PowerState.RUNNING:
            raise Explained(f"the guest is {launch.power_state.name} instead of RUNNING")
