"""Volumes as sparse raw files of the agent's host, exported by NBD."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec

from kilonova.core.block import download, luks, qemu_img
from kilonova.core.block import errors as block_errors
from kilonova.core.block.files import KeyedLocks, os_errors
from kilonova.core.block.images import ImageSource
from kilonova.core.block.sandbox import to_the_end, tool
from kilonova.core.secret import Secret
from kilonova.volume.backends.driver import (
    Capacity,
    ConnectionInfo,
    Connector,
    Export,
    StoredVolume,
    VolumeDriver,
    VolumeImage,
)
from kilonova.volume.backends.errors import BackendAway, BackendError, ImageRefused, NoSpace, NotSupported, VolumeBusy
from kilonova.volume.backends.local.copies import copy
from kilonova.volume.backends.local.exports import Exports, without
from kilonova.volume.backends.local.records import GIB, Attachment, Record, Records
from kilonova.volume.backends.options import LocalBackendOptions
from kilonova.volume.backends.registry import BackendContext

FORMATS = ("raw", "qcow2")
PIECE = 1 << 20
KINDS = (
    (block_errors.DiskFull, NoSpace),
    (block_errors.ImageRefused, ImageRefused),
    (block_errors.DiskError, BackendError),
)


@contextmanager
def told(step: str) -> Iterator[None]:
    """Errors of the disk tools, and of the system, as those of back ends."""
    try:
        with os_errors(step):
            yield
    except block_errors.DiskError as error:
        kind = next(made for known, made in KINDS if isinstance(error, known))
        text = str(error)
        raise kind(text if text.startswith(step) else f"{step}: {text}") from error


class LocalBackend(VolumeDriver):
    name = "local"
    kind = protocol = "nbd"
    programs = ("qemu-storage-daemon", "qemu-img")

    def __init__(self, context: BackendContext) -> None:
        options = context.options or LocalBackendOptions()
        self._folder = Path(options.folder) if options.folder else context.folder
        self._clock = context.clock
        self._records = Records(self._folder)
        self._exports = self._make_exports(context, options)
        self._locks = KeyedLocks()

    async def start(self) -> None:
        try:
            for name in self.programs:
                tool(name)
            with os_errors(f"opening {self._folder}"):
                await asyncio.to_thread(self._records.open)
                direct = await asyncio.to_thread(_has_direct_io, self._folder)
        except block_errors.DiskError as error:
            raise BackendAway(str(error)) from error
        records = await asyncio.to_thread(self._all)
        data = {volume_id: self._records.data(volume_id) for volume_id in records}
        await self._exports.open(records, direct=direct, data=data)

    async def stop(self) -> None:
        await self._exports.close()

    async def capacity(self) -> Capacity:
        with told("capacity"):
            found = await asyncio.to_thread(os.statvfs, self._folder)
        records = await asyncio.to_thread(self._all)
        return Capacity(
            total_gb=found.f_blocks * found.f_frsize / GIB, free_gb=found.f_bavail * found.f_frsize / GIB,
            provisioned_gb=float(sum(record.size_gb for record in records.values())), protocol=self.protocol, multiattach=True,
        )  # fmt: skip

    async def create(self, volume_id: str, size_gb: int, *, key: Secret | None = None) -> None:
        async with self._making(volume_id, f"create volume {volume_id}") as made:
            if made is not None:
                await self._blank(made, volume_id, size_gb, key)

    async def create_from_image(
        self, volume_id: str, size_gb: int, image: VolumeImage, *, key: Secret | None = None
    ) -> None:
        step = f"create volume {volume_id} of image {image.id}"
        async with self._making(volume_id, step) as made:
            if made is None:
                return
            if image.size > size_gb * GIB or image.min_disk > size_gb:
                raise ImageRefused(f"{step}: it does not fit into {size_gb} GiB")
            part = made / "image"
            found = await download.receive(part, _source(image), image.open, name=image.id)
            if found.virtual_size > size_gb * GIB:
                raise ImageRefused(f"{step}: its {found.virtual_size} bytes do not fit into {size_gb} GiB")
            await self._blank(made, volume_id, size_gb, key, image=(part, found.format), step=step)

    async def clone(self, volume_id: str, size_gb: int, source_id: str) -> None:
        step = f"clone volume {source_id} to {volume_id}"
        async with self._making(volume_id, step) as made:
            if made is not None:
                source = await asyncio.to_thread(self._records.get, source_id)
                await self._exports.copy(source_id, self._records.data(source_id), made / "volume", step=step)
                await self._copied(made, volume_id, size_gb, source)

    async def create_from_snapshot(self, volume_id: str, size_gb: int, snapshot_id: str, source_id: str) -> None:
        step = f"create volume {volume_id} of snapshot {snapshot_id}"
        async with self._making(volume_id, step) as made:
            if made is not None:
                source = await asyncio.to_thread(self._records.get, source_id)
                held = await asyncio.to_thread(self._records.held_snapshot, source_id, snapshot_id)
                await copy(held, made / "volume", None, step=step)
                await self._copied(made, volume_id, size_gb, source)

    async def delete(self, volume_id: str) -> None:
        async with self._locks[volume_id]:
            with told(f"delete volume {volume_id}"):
                record = await asyncio.to_thread(self._records.find, volume_id)
                if record is None:
                    return
                if record.attachments or self._records.snapshots(volume_id):
                    raise VolumeBusy(f"delete volume {volume_id}: it is attached or has snapshots")
                await self._exports.apply(volume_id, self._records.data(volume_id), record)
                await asyncio.to_thread(self._records.remove, volume_id)

    async def extend(self, volume_id: str, size_gb: int) -> None:
        async with self._locks[volume_id]:
            with told(f"extend volume {volume_id}"):
                record = await asyncio.to_thread(self._records.get, volume_id)
                record = msgspec.structs.replace(record, size_gb=max(size_gb, record.size_gb))
                await asyncio.to_thread(os.truncate, self._records.data(volume_id), record.file_size)
                await asyncio.to_thread(self._records.put, volume_id, record)
                if not any(self._exports.is_near(held) for held in record.attachments.values()):
                    await self._exports.restart(
                        volume_id, record
                    )  # guests of this host are told by it when they are ready

    async def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        step = f"snapshot {snapshot_id} of volume {volume_id}"
        async with self._locks[volume_id]:
            with told(step):
                await asyncio.to_thread(self._records.get, volume_id)
                target = self._records.snapshot(volume_id, snapshot_id)
                if not target.exists():
                    with self._records.making(snapshot_id) as made:
                        fresh = made / "snapshot"
                        await self._exports.copy(volume_id, self._records.data(volume_id), fresh, step=step)
                        await asyncio.to_thread(self._records.settle, fresh, target)

    async def delete_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        async with self._locks[volume_id]:
            with told(f"delete snapshot {snapshot_id}"):
                await asyncio.to_thread(self._records.snapshot(volume_id, snapshot_id).unlink, missing_ok=True)

    async def revert(self, volume_id: str, snapshot_id: str) -> None:
        step = f"revert volume {volume_id} to snapshot {snapshot_id}"
        async with self._locks[volume_id]:
            with told(step):
                record = await asyncio.to_thread(self._records.get, volume_id)
                held = await asyncio.to_thread(self._records.held_snapshot, volume_id, snapshot_id)
                if record.attachments:
                    raise VolumeBusy(f"{step}: it is attached")
                with self._records.making(volume_id) as made:
                    fresh = made / "volume"
                    await copy(held, fresh, None, step=step)
                    os.truncate(fresh, record.file_size)
                    await asyncio.to_thread(self._records.settle, fresh, self._records.data(volume_id))

    @asynccontextmanager
    async def export(self, volume_id: str, disk_format: str) -> AsyncIterator[Export]:
        step = f"export volume {volume_id}"
        if disk_format not in FORMATS:
            raise NotSupported(f"{step}: format {disk_format}, only {', '.join(FORMATS)}")
        with self._records.making(volume_id) as made:
            with told(step):
                await asyncio.to_thread(self._records.get, volume_id)
                image = made / "raw"
                async with self._locks[volume_id]:
                    await self._exports.copy(volume_id, self._records.data(volume_id), image, step=step)
                if disk_format != "raw":
                    await qemu_img.convert(image, "raw", made / disk_format, disk_format, step=step)
                    image = made / disk_format
                size = (await asyncio.to_thread(image.stat)).st_size
            yield Export(size=size, open=lambda: _pieces(image))

    async def connect(self, volume_id: str, attachment_id: str, connector: Connector) -> ConnectionInfo:
        async with self._locks[volume_id]:
            with told(f"connect volume {volume_id} for attachment {attachment_id}"):
                record = await asyncio.to_thread(self._records.get, volume_id)
                self._exports.must_reach(connector.host)
                if attachment_id not in record.attachments:
                    record = await asyncio.to_thread(self._admit, volume_id, record, attachment_id, connector)
                await self._exports.apply(volume_id, self._records.data(volume_id), record)
                data = self._exports.info(volume_id, attachment_id, record)
        return ConnectionInfo(driver_volume_type=self.kind, data=data)

    async def disconnect(self, volume_id: str, attachment_id: str) -> None:
        async with self._locks[volume_id]:
            with told(f"disconnect volume {volume_id} for attachment {attachment_id}"):
                record = await asyncio.to_thread(self._records.find, volume_id)
                if record is None or attachment_id not in record.attachments:
                    return
                gone = record.attachments[attachment_id]
                left = without(record, attachment_id)
                await self._exports.apply(volume_id, self._records.data(volume_id), left)
                if not self._exports.is_near(gone):
                    await self._exports.restart(volume_id, left, near=False)
                await asyncio.to_thread(self._records.put, volume_id, left)

    async def volumes(self) -> list[StoredVolume]:
        with told("list volumes"):
            return await asyncio.to_thread(self._list)

    async def clean(self) -> None:
        await self._exports.remove_all()
        await asyncio.to_thread(self._records.clear)

    # inside

    def _make_exports(self, context: BackendContext, options: LocalBackendOptions) -> Exports:
        return Exports(context, options)

    @asynccontextmanager
    async def _making(self, volume_id: str, step: str) -> AsyncIterator[Path | None]:
        """A folder to make the volume in; None where it is there."""
        async with self._locks[volume_id]:
            with told(step), self._records.making(volume_id) as made:
                there = await asyncio.to_thread(self._records.find, volume_id)
                yield made if there is None else None

    async def _blank(
        self,
        made: Path,
        volume_id: str,
        size_gb: int,
        key: Secret | None,
        *,
        image: tuple[Path, str] | None = None,
        step: str = "",
    ) -> None:
        """The volume, with the bytes of an image that fits into it."""
        record = Record(size_gb=size_gb, header=luks.HEADER if key is not None else 0)
        data, step = made / "volume", step or f"create volume {volume_id}"
        if key is None and image is not None:
            if image[1] == "raw":
                image[0].replace(data)
            else:
                await qemu_img.convert(*image, data, "raw", step=step)
        with data.open("ab") as file:
            file.truncate(record.file_size)
        if key is not None:
            await luks.format_luks(data, key, step=step)
            if image is not None:
                await luks.fill(*image, data, key, step=step)
        await to_the_end(asyncio.to_thread(self._records.appear, made, volume_id, record))

    async def _copied(self, made: Path, volume_id: str, size_gb: int, source: Record) -> None:
        """The volume, with the bytes of `source` or its snapshot."""
        data = made / "volume"
        held = -(-(data.stat().st_size - source.header) // GIB)
        record = Record(size_gb=max(size_gb, held), header=source.header)
        os.truncate(data, record.file_size)
        await to_the_end(asyncio.to_thread(self._records.appear, made, volume_id, record))

    def _admit(self, volume_id: str, record: Record, attachment_id: str, connector: Connector) -> Record:
        attachment = Attachment(connector.host, connector.mode)
        port = record.port
        if not self._exports.is_near(attachment):
            attachment = msgspec.structs.replace(attachment, key=self._clock.random_bytes(32).hex())
            if port is None:
                port = self._exports.free_port({held.port for held in self._all().values() if held.port})
        attachments = {**record.attachments, attachment_id: attachment}
        record = msgspec.structs.replace(record, attachments=attachments, port=port)
        self._records.put(volume_id, record)
        return record

    def _all(self) -> dict[str, Record]:
        found = {volume_id: self._records.find(volume_id) for volume_id in self._records.ids()}
        return {volume_id: record for volume_id, record in found.items() if record is not None}

    def _list(self) -> list[StoredVolume]:
        return [
            StoredVolume(
                id=volume_id, size_gb=record.size_gb, snapshots=self._records.snapshots(volume_id),
                attachments=tuple(record.attachments),
            )
            for volume_id, record in self._all().items()
        ]  # fmt: skip


def _source(image: VolumeImage) -> ImageSource:
    return ImageSource(
        id=image.id, disk_format=image.disk_format, container_format=image.container_format, size=image.size,
        hash_algo=image.hash_algo, hash_value=image.hash_value, min_disk=image.min_disk,
    )  # fmt: skip


def _has_direct_io(folder: Path) -> bool:
    """Whether files there can be read past the page cache: not on every file system."""
    probe = folder / "work" / "probe"
    try:
        os.close(os.open(probe, os.O_RDWR | os.O_CREAT | os.O_DIRECT | os.O_CLOEXEC, 0o600))
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
