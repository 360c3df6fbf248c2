"""An image of the server's disk: copied, packed into one file, and uploaded to the image service."""

from __future__ import annotations

from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.models import Snapshot
from kilonova.compute.properties import ON
from kilonova.compute.virt.capabilities import CopiesDisks
from kilonova.compute.virt.disks import Export
from kilonova.compute.virt.driver import PowerState
from kilonova.core import errors

ALIVE = (PowerState.RUNNING, PowerState.PAUSED)


class TakeSnapshot(OperationStep):
    """A root disk that is a volume needs no image to be shelved. The disk
    of a guest that is alive is copied as it is at one moment; that of one that is off stays as it is anyway."""

    async def do(self, operation: Operation) -> None:
        driver, uuid = operation.host.driver, operation.uuid
        if operation.build.spec.volume_backed:
            return
        await driver.disks.drop_export(uuid)
        if await driver.power_state(uuid) not in ALIVE:
            return
        if not isinstance(driver, CopiesDisks):
            raise Explained("the hypervisor can't copy the disks of running guests")
        root, copy = await driver.disks.copy_target(uuid)
        await driver.copy_disk(uuid, root, copy, quiesce=_quiesce(operation))

    async def undo(self, operation: Operation) -> None:
        await operation.host.driver.disks.drop_export(operation.uuid)


def _quiesce(operation: Operation) -> bool | None:
    """Whether the file systems must be at rest; None: if that can be had."""
    image = operation.build.spec.image
    asked = image.properties if image is not None else {}
    if asked.get("os_require_quiesce", "").lower() in ON:
        return True
    return None if asked.get("hw_qemu_guest_agent", "").lower() in ON else False


class Pack(OperationStep):
    async def do(self, operation: Operation) -> None:
        if operation.build.spec.volume_backed:
            return
        wanted = _wanted(operation)
        operation.export = await operation.host.driver.disks.export(operation.uuid, wanted.disk_format)


class Upload(OperationStep):
    """Into the image that the API made; one that is complete is left alone."""

    async def do(self, operation: Operation) -> None:
        if operation.build.spec.volume_backed:
            return
        export, image_id = operation.export, _wanted(operation).image
        if export is None:
            raise Explained("there is no image to upload")
        await operation.host.ask_service(lambda: _upload(operation, image_id, export), server=operation.uuid)
        await operation.host.driver.disks.drop_export(operation.uuid)


async def _upload(operation: Operation, image_id: str, export: Export) -> None:
    images = operation.host.image.granted(operation.build.grant)
    status = (await images.get(None, image_id)).status
    if status == "saving":  # by an earlier life of this host: the image service finds out that it is dead
        raise errors.ServiceUnavailable(reason=f"image {image_id} is still being uploaded")
    if status == "queued":
        await images.upload(None, image_id, export.open(), size=export.size)


def _wanted(operation: Operation) -> Snapshot:
    wanted = operation.build.spec.snapshot
    if wanted is None:
        raise Explained("the server's record does not say which image is to be made")
    return wanted
