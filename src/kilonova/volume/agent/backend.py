"""What a back end does for an order: a table of works, each one call of its driver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.core import log
from kilonova.image.client import ImageClient, ImageRecord
from kilonova.volume.agent.backup_store import BackupStore
from kilonova.volume.backends.driver import VolumeDriver, VolumeImage
from kilonova.volume.backends.errors import BackendAway, BackendError, ImageRefused, NoSpace, VolumeBusy
from kilonova.volume.models import Order


@dataclass
class Backend:
    """One back end of a machine; `service` is HOST@BACKEND. `copies` limits the images that are copied at once."""

    service: str
    driver: VolumeDriver
    images: ImageClient
    copies: asyncio.Semaphore
    backups: BackupStore
    started: bool = False

    @property
    def pool(self) -> str:
        """The back end's one pool has its name."""
        return f"{self.service}#{self.service.partition('@')[2]}"


logger = log.get("volume")
Do = Callable[[Backend, Order], Awaitable[dict[str, Any] | None]]
"""What it gives are facts for the conductor."""


async def create_volume(backend: Backend, order: Order) -> None:
    """From the source that the order names, or from nothing."""
    driver, volume, size = backend.driver, order.volume_id, order.size
    if order.image_id is not None:
        async with backend.copies:
            image = await backend.images.get(None, order.image_id)
            await driver.create_from_image(volume, size, image_of(backend.images, image))
    elif order.snapshot_id is not None and order.source_id is not None:
        await driver.create_from_snapshot(volume, size, order.snapshot_id, order.source_id)
    elif order.source_id is not None:
        await driver.clone(volume, size, order.source_id)
    else:
        await driver.create(volume, size)


async def alone(driver: VolumeDriver, volume_id: str, do: Callable[[], Awaitable[None]]) -> None:
    """Do what needs a volume that is exported to no host. Such works are ordered for volumes without attachments alone: exports
    that are left are of attachments that went while this back end was away, or whose answer was lost."""
    try:
        await do()
    except VolumeBusy:
        left = [held for stored in await driver.volumes() if stored.id == volume_id for held in stored.attachments]
        if not left:
            raise
        logger.warning("removing exports that no attachment has", volume=volume_id, attachments=left)
        for attachment_id in left:
            await driver.disconnect(volume_id, attachment_id)
        await do()


async def delete_volume(backend: Backend, order: Order) -> None:
    """After its snapshots, of which there are some where it is deleted with them."""
    driver, volume = backend.driver, order.volume_id
    for snapshot_id in order.snapshots:
        await driver.delete_snapshot(snapshot_id, volume)
    await alone(driver, volume, lambda: driver.delete(volume))


async def extend_volume(backend: Backend, order: Order) -> None:
    await backend.driver.extend(order.volume_id, order.new_size)


async def revert_volume(backend: Backend, order: Order) -> None:
    driver, volume = backend.driver, order.volume_id
    await alone(driver, volume, lambda: driver.revert(volume, order.snapshot_id or ""))


async def upload_volume(backend: Backend, order: Order) -> None:
    """Fill an image that waits for its data with the volume's content."""
    image_id = order.image_id or ""
    try:
        async with backend.copies, backend.driver.export(order.volume_id, order.image_format or "raw") as export:
            if (await backend.images.get(None, image_id)).status == "queued":
                await backend.images.upload(None, image_id, export.open(), size=export.size)
    except Exception:
        await backend.images.delete(None, image_id)  # it would wait for its data for ever
        raise


async def create_snapshot(backend: Backend, order: Order) -> None:
    await backend.driver.snapshot(order.snapshot_id or "", order.volume_id)


async def delete_snapshot(backend: Backend, order: Order) -> None:
    await backend.driver.delete_snapshot(order.snapshot_id or "", order.volume_id)


async def create_backup(backend: Backend, order: Order) -> dict[str, Any]:
    """What the volume, or its snapshot, has at one moment: a copy under the backup's id is read, and goes."""
    driver, backup = backend.driver, order.backup_id or ""
    async with backend.copies:
        if order.snapshot_id is not None:
            await driver.create_from_snapshot(backup, order.size, order.snapshot_id, order.volume_id)
        else:
            await driver.clone(backup, order.size, order.volume_id)
        try:
            async with driver.export(backup, "raw") as export:
                manifest = await backend.backups.write(backup, export.open(), order.parent_id)
        finally:
            await driver.delete(backup)
    return {"object_count": len({piece.digest for piece in manifest.pieces if piece.holder == backup})}


async def restore_backup(backend: Backend, order: Order) -> None:
    """The volume is made anew with the backup's content; only one without snapshots and attachments."""
    manifest = await asyncio.to_thread(backend.backups.manifest, order.backup_id or "")
    image = VolumeImage(
        id=order.backup_id or "", disk_format="raw", size=manifest.size, hash_algo="sha512", hash_value=manifest.digest,
        open=lambda: backend.backups.read(order.backup_id or ""),
    )  # fmt: skip
    driver, volume = backend.driver, order.volume_id
    async with backend.copies:
        await alone(driver, volume, lambda: driver.delete(volume))
        await driver.create_from_image(volume, order.size, image)


async def delete_backup(backend: Backend, order: Order) -> None:
    await backend.backups.delete(order.backup_id or "")


WORKS: Mapping[str, Do] = {
    work.__name__: work
    for work in (
        create_volume, delete_volume, extend_volume, revert_volume, upload_volume, create_snapshot, delete_snapshot,
        create_backup, restore_backup, delete_backup,
    )
} | {"discard_volume": delete_volume}  # fmt: skip


def image_of(images: ImageClient, image: ImageRecord) -> VolumeImage:
    return VolumeImage(
        id=image.id,
        disk_format=image.disk_format or "raw",
        size=image.size or 0,
        hash_algo=image.os_hash_algo,
        hash_value=image.os_hash_value,
        open=lambda: images.download(image.id),
        container_format=image.container_format or "bare",
        min_disk=image.min_disk,
    )


def reason_of(error: Exception) -> tuple[str, bool]:
    """(key of reasons.DETAILS, or "" for the work's own; whether another back end may do better)."""
    codes: dict[type[Exception], tuple[str, bool]] = {
        ImageRefused: ("no space for image", False),
        NoSpace: ("no back end", True),
        BackendAway: ("away", True),
        VolumeBusy: ("", False),
        BackendError: ("", True),
    }
    return next((found for kind, found in codes.items() if isinstance(error, kind)), ("", False))
