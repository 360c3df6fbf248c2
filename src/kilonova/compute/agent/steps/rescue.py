"""The disk that a rescued server starts from, beside its own."""

from __future__ import annotations

import msgspec

from kilonova.compute.agent.reasons import Explained
from kilonova.compute.agent.runner import Operation, OperationStep
from kilonova.compute.agent.steps.disks import fetch
from kilonova.compute.models import Image
from kilonova.compute.virt.driver import GuestDisk


class MakeRescueDisk(OperationStep):
    """After the step `image`, which has the server's own disks. Where the image says what kind of device it wants to be
    (`hw_rescue_device`, `hw_rescue_bus`), those keep their places, and it comes last; otherwise it comes first."""

    async def do(self, operation: Operation) -> None:
        spec, store = operation.build.spec, operation.host.driver.disks
        asked = spec.rescue
        image = asked.image if asked is not None and asked.image is not None else spec.image
        if image is None:
            raise Explained("there is no image to rescue the server with")
        source = await store.rescue(operation.uuid, await fetch(operation, image))
        await _take_kernel(operation, image)
        operation.disks = _beside(operation.disks, _disk(image, GuestDisk(source=source, target="")), image, operation)
        if asked is not None:
            operation.build = msgspec.structs.replace(
                operation.build, spec=msgspec.structs.replace(spec, admin_pass=asked.admin_pass)
            )

    async def undo(self, operation: Operation) -> None:
        await operation.host.driver.disks.drop_rescue(operation.uuid)


def _disk(image: Image, disk: GuestDisk) -> GuestDisk:
    properties = image.properties
    bus = properties.get("hw_rescue_bus") or properties.get("hw_disk_bus") or "virtio"
    return msgspec.structs.replace(disk, bus=bus, device=properties.get("hw_rescue_device") or "disk", boot_index=0)


def _beside(own: list[GuestDisk], rescue: GuestDisk, image: Image, operation: Operation) -> list[GuestDisk]:
    """All disks in their order, with the names that belong to it."""
    stable = any(name in image.properties for name in ("hw_rescue_device", "hw_rescue_bus"))
    disks = [*own, rescue] if stable and operation.kernel is None else [rescue, *own]
    named = (f"vd{chr(ord('a') + number)}" for number in range(len(disks)))
    return [msgspec.structs.replace(disk, target=target) for disk, target in zip(disks, named, strict=True)]


async def _take_kernel(operation: Operation, image: Image) -> None:
    """The rescue image's own; the server's, where it is rescued with the image that it was made of."""
    own = operation.build.spec.image
    if own is not None and image.id == own.id:
        return
    store, uuid = operation.host.driver.disks, operation.uuid
    operation.kernel = operation.initrd = None
    if image.kernel is not None:
        operation.kernel = await store.kernel(uuid, "kernel.rescue", await fetch(operation, image.kernel))
    if image.ramdisk is not None:
        operation.initrd = await store.kernel(uuid, "ramdisk.rescue", await fetch(operation, image.ramdisk))


class DropRescueDisk(OperationStep):
    async def do(self, operation: Operation) -> None:
        await operation.host.driver.disks.drop_rescue(operation.uuid)
