"""One interface of a server that is here: given to it or taken from it, whether the guest runs or is off. The action's arguments
name it: `port` (its id) and `mac`."""

from __future__ import annotations

from kilonova.compute.agent.ports import release_port
from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.agent.steps.guest import guest_interface
from kilonova.compute.agent.steps.networking import PLUGGED, await_plugged
from kilonova.compute.models import Vif
from kilonova.compute.virt.capabilities import PlugsInterfaces
from kilonova.compute.virt.driver import PowerState

WITH_TAPS = (PowerState.RUNNING, PowerState.PAUSED)
LET_GO = 60.0  # seconds that a guest has to let go of an interface


class PlugPort(OperationStep):
    """The network agent has prepared the port. A guest that is off gets it with its next start. Undone, the server has the port
    no more."""

    async def do(self, operation: Operation) -> None:
        if await _runs(operation):
            port = operation.build.arguments["port"]
            operation.host.events.expect(operation.uuid, PLUGGED, [port])
            await operation.host.ask_service(lambda: operation.host.wiring.plug(operation.ctx, [port]))

    async def undo(self, operation: Operation) -> None:
        operation.host.events.forget(operation.uuid)
        await _unplug(operation)
        await _let_go(operation)


class HotPlug(OperationStep):
    async def do(self, operation: Operation) -> None:
        driver, vif = operation.host.driver, _vif(operation)
        if isinstance(driver, PlugsInterfaces):
            await driver.attach_interface(operation.uuid, guest_interface(operation, vif))
        elif await _runs(operation):
            raise Explained("the hypervisor can't attach interfaces to running guests")

    async def undo(self, operation: Operation) -> None:
        driver = operation.host.driver
        if isinstance(driver, PlugsInterfaces):
            await driver.detach_interface(operation.uuid, operation.build.arguments["mac"], timeout=LET_GO)


class AttachInterface(OperationStep):
    """The network has reported the port; the server's row then shows it so."""

    async def do(self, operation: Operation) -> None:
        if await _runs(operation):
            await await_plugged(operation, [operation.build.arguments["port"]])
        await _refresh(operation)


class HotUnplug(OperationStep):
    async def do(self, operation: Operation) -> None:
        driver = operation.host.driver
        if isinstance(driver, PlugsInterfaces):
            if not await driver.detach_interface(operation.uuid, operation.build.arguments["mac"], timeout=LET_GO):
                raise Explained("the guest does not let go of the interface")
        elif await _runs(operation):
            raise Explained("the hypervisor can't detach interfaces from running guests")


class UnplugPort(OperationStep):
    async def do(self, operation: Operation) -> None:
        await _unplug(operation)


class DetachInterface(OperationStep):
    """The port is deleted where compute made it, and free where it is the user's."""

    async def do(self, operation: Operation) -> None:
        await _let_go(operation)


async def _runs(operation: Operation) -> bool:
    return await operation.host.driver.power_state(operation.uuid) in WITH_TAPS


def _vif(operation: Operation) -> Vif:
    port = operation.build.arguments["port"]
    for vif in operation.vifs:
        if vif.port_id == port:
            return vif
    raise Explained(f"the server no longer has port {port}")


async def _unplug(operation: Operation) -> None:
    await operation.host.unplug(operation.ctx, operation.uuid, [operation.build.arguments["port"]])


async def _let_go(operation: Operation) -> None:
    await operation.host.ask_service(lambda: release_port(operation.host, operation.build), server=operation.uuid)
    await _refresh(operation)


async def _refresh(operation: Operation) -> None:
    host = operation.host
    found = await host.ask_conductor(
        lambda: host.conductor.network_info(operation.ctx, host.name, operation.uuid), server=operation.uuid
    )
    if found is not None:
        operation.vifs = found
