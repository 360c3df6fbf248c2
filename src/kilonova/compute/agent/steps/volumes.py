"""One volume of a server that is here: given to it or taken from it, whether the guest runs or is off. The action's arguments
name it: `device` (the uuid of its row), `volume` (its id, by which guests know it) and, where it has grown, `size` in GiB."""

from __future__ import annotations

from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.agent.volumes import connect, disconnect, renamed, volume_disk
from kilonova.compute.virt.capabilities import PlugsDisks
from kilonova.compute.virt.driver import GuestNotFound, PowerState

GIB = 1 << 30
LET_GO = 120.0  # seconds that a guest has to let go of a disk; it is asked again and again
ALIVE = (PowerState.RUNNING, PowerState.PAUSED)


class ConnectVolume(OperationStep):
    """This host can reach the volume. Undone, the server has it no more; but while the guest has it, it stays the server's, so
    that no other guest writes to it."""

    async def do(self, operation: Operation) -> None:
        operation.volumes = await connect(operation, operation.build.arguments["device"])

    async def undo(self, operation: Operation) -> None:
        if not await _unplug(operation):
            raise Explained("the guest does not let go of the volume")
        await disconnect(operation, operation.build.arguments["device"], forget=True)


class PlugVolume(OperationStep):
    """The guest has the disk; one that is off has it when it is started."""

    async def do(self, operation: Operation) -> None:
        driver, image = operation.host.driver, operation.build.spec.image
        bus = (image.properties if image is not None else {}).get("hw_disk_bus") or "virtio"
        for volume in operation.volumes or ():
            disk = volume_disk(volume, bus)
            if isinstance(driver, PlugsDisks):
                name = await driver.attach_disk(operation.uuid, disk)
                await renamed(operation, volume, name)
            elif await driver.power_state(operation.uuid) in ALIVE:
                raise Explained("the hypervisor can't attach disks to running guests")


class UnplugVolume(OperationStep):
    """The guest is asked to let go of the disk; one that does not keeps it, and the volume stays the server's."""

    async def do(self, operation: Operation) -> None:
        if not await _unplug(operation):
            raise Explained("the guest does not let go of the volume")


class DisconnectVolume(OperationStep):
    async def do(self, operation: Operation) -> None:
        await disconnect(operation, operation.build.arguments["device"], forget=True)


class ResizeVolume(OperationStep):
    async def do(self, operation: Operation) -> None:
        driver, asked = operation.host.driver, operation.build.arguments
        if not isinstance(driver, PlugsDisks):
            raise Explained("Volume size extension is not supported by the hypervisor.")
        await driver.resize_disk(operation.uuid, asked["volume"], int(asked["size"]) * GIB)


async def _unplug(operation: Operation) -> bool:
    driver, volume_id = operation.host.driver, operation.build.arguments["volume"]
    if not isinstance(driver, PlugsDisks):
        return await driver.power_state(operation.uuid) not in ALIVE
    try:
        return await driver.detach_disk(operation.uuid, volume_id, timeout=LET_GO)
    except GuestNotFound:  # it has no definition here, and no disk
        return True
