"""Image data on the way in and out. Memory stays flat: a batch at a time is hashed, inspected and written by a worker
thread while the loop serves others."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from kilonova.core import log
from kilonova.core.db import retried
from kilonova.image import errors
from kilonova.image.quotas import Reserved
from kilonova.image.resources.image_data.conversion import QEMU_NAMES, Spool
from kilonova.image.resources.image_data.inspection import Inspection
from kilonova.image.resources.images.logic import ImageLogic
from kilonova.image.resources.images.schemas import ImageRecord
from kilonova.image.store import images as store
from kilonova.image.stores.base import Reader, StoreFailed, StoreFull, Upload

logger = log.get("image")
BATCH = 1 << 20
DRAIN = 64 << 20  # of a refused upload this much is still read, so that the client gets to see the reason
HASH = "sha512"
CLONED_AS_RAW = frozenset({"qcow2", "vmdk", "vdi", "vhd", "vhdx", "ploop"})
NO_DATA: dict[str, Any] = {
    "size": None, "virtual_size": None, "checksum": None, "os_hash_algo": None, "os_hash_value": None, "upload_id": None,
    "reserved": None,
}  # fmt: skip


class Range(msgspec.Struct, frozen=True):
    """Bytes `start` to `end`, both included."""

    start: int
    end: int


class _Sink:
    """Where the batches of one upload go; used by one worker thread at a time."""

    def __init__(self, upload: Upload, image: ImageRecord) -> None:
        self._upload = upload
        self._inspection = Inspection(image.disk_format or "", image.container_format or "")
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha = hashlib.new(HASH)
        self.size = 0

    def take(self, data: bytes) -> None:
        self.size += len(data)
        self._md5.update(data)
        self._sha.update(data)
        self._inspection.feed(data)
        self._upload.write(data)

    def finish(self) -> dict[str, Any]:
        """What the record is to say; raises InvalidImageData before anything is committed."""
        virtual_size = self._inspection.verdict()
        self._upload.commit()
        return {
            "size": self.size, "virtual_size": virtual_size, "checksum": self._md5.hexdigest(), "os_hash_algo": HASH,
            "os_hash_value": self._sha.hexdigest(),
        }  # fmt: skip


class DataLogic:
    def __init__(self, images: ImageLogic, work: Path) -> None:
        """`work`: a folder for disks that are converted."""
        self.work = work
        self.images, self.database, self.data = images, images.database, images.data
        self._endings: set[asyncio.Future[None]] = set()

    async def recover(self) -> None:
        """Make good what a killed process left: half uploads go and their images may be tried again, half deletions
        are finished. Uploads of other running processes stay."""
        for name in await asyncio.to_thread(self.data.prepare):
            logger.warning("incomplete upload removed", upload_id=name)
        async with self.database.reading() as connection:
            rows = await store.in_status(connection, "saving", "pending_delete")
        for row in rows:
            if row.status == "pending_delete":
                await self.images.purge(row.id)
            elif row.upload_id is not None and not await asyncio.to_thread(
                self.data.in_progress, UUID(row.id), UUID(row.upload_id)
            ):
                await self._requeue(row.id, row.upload_id)

    @retried
    async def _requeue(self, image_id: str, upload_id: str) -> None:
        """An upload lets go of its data after the image's record says how it ended: one that held nothing, and is still in the
        record, is dead. The record is locked until the data are gone, so that no new upload's are taken for them."""
        async with self.database.transaction() as tx:
            row = await store.find(tx.connection, image_id, lock=True)
            if row is None or row.status != "saving" or row.upload_id != upload_id:
                return
            await asyncio.to_thread(self.data.delete, UUID(image_id))
            values = NO_DATA | {"status": "queued", "updated_at": self.images.now()}
            await store.change(tx.connection, image_id, values, status=("saving",), upload_id=upload_id)
        logger.warning("upload interrupted: the image is queued again", image_id=image_id)

    async def upload(self, image: ImageRecord, pieces: AsyncIterator[bytes], announced: int | None) -> None:
        """Take the data in; afterwards the image is active, or as it was before and an error is raised."""
        self._check_start(image, announced)
        upload_id = self.images.clock.uuid()
        upload = self.data.begin(UUID(image.id), UUID(upload_id))
        try:
            await asyncio.to_thread(upload.start)
            held = await self._claim(image, upload_id, announced)
            room = Reserved(self.images.quotas, image, upload_id, held)
            if self._not_raw(image) == "convert":
                values = await self._converted(upload, image, pieces, announced, room)
            else:
                values = await self._receive(_Sink(upload, image), pieces, announced, room)
            await self._activate(image.id, upload_id, values)
        except BaseException as error:
            await self._undo(upload, image.id, upload_id)
            if isinstance(error, StoreFull | errors.OverQuota):
                await _drain(pieces)
            if isinstance(error, StoreFull):
                raise errors.StorageFull from error
            if isinstance(error, StoreFailed):
                logger.error("image store failed", image_id=image.id, store=self.data.name, reason=str(error))
                raise errors.StoreAway from error
            raise
        await asyncio.to_thread(upload.close)

    def _check_start(self, image: ImageRecord, announced: int | None) -> None:
        if image.status != "queued":
            raise errors.InvalidStatusTransition(current=image.status, wanted="saving")
        missing = [name for name in ("disk_format", "container_format") if not getattr(image, name)]
        if missing:
            raise errors.FormatsMissing(names=", ".join(missing))
        if announced is not None and announced > self.images.options.max_image_size:
            raise errors.ImageTooLarge(limit=self.images.options.max_image_size)
        if self._not_raw(image) == "refuse":
            raise errors.NotRaw(image_id=image.id, disk_format=image.disk_format)

    def _not_raw(self, image: ImageRecord) -> str:
        """What is done with the image: accept, refuse or convert."""
        if image.disk_format not in CLONED_AS_RAW or image.container_format != "bare":
            return "accept"
        chosen = self.images.options.not_raw
        if chosen == "auto":
            return "refuse" if self.data.clones else "accept"
        return "refuse" if chosen == "convert" and image.disk_format not in QEMU_NAMES else chosen

    async def _converted(
        self, upload: Upload, image: ImageRecord, pieces: AsyncIterator[bytes], announced: int | None, room: Reserved
    ) -> dict[str, Any]:
        """What the record is to say of the raw disk, whose size counts for limits and quota."""
        spool, limit = Spool(image, self.work), self.images.options.max_image_size
        try:
            await asyncio.to_thread(spool.start)
            found = await self._receive(_Sink(spool, image), pieces, announced, room)
            size = found["virtual_size"]
            if size is None or size > limit:
                raise errors.ImageTooLarge(limit=limit)
            await room.reach(size)
            await spool.convert()
            sink, raw = _Sink(upload, msgspec.structs.replace(image, disk_format="raw")), spool.pieces(BATCH)
            while (piece := await asyncio.to_thread(next, raw, None)) is not None:
                await asyncio.to_thread(sink.take, piece)
            return await asyncio.to_thread(sink.finish) | {"disk_format": "raw"}
        finally:
            await asyncio.to_thread(spool.close)

    @retried
    async def _claim(self, image: ImageRecord, upload_id: str, announced: int | None) -> int:
        """The bytes reserved for the upload so far."""
        async with self.database.transaction() as tx:
            row = await store.find(tx.connection, image.id)
            if row is not None and row.status == "queued":
                held = await self.images.quotas.check_upload(tx.connection, image, announced)
                values = {
                    "status": "saving", "upload_id": upload_id, "reserved": held, "updated_at": self.images.now()
                }  # fmt: skip
                if await store.change(tx.connection, image.id, values, status=("queued",)):
                    return held
                row = await store.find(tx.connection, image.id)
        if row is None:
            raise errors.ImageNotFound(image_id=image.id)
        raise errors.InvalidStatusTransition(current=row.status, wanted="saving")

    async def _receive(
        self, sink: _Sink, pieces: AsyncIterator[bytes], announced: int | None, room: Reserved
    ) -> dict[str, Any]:
        limit = self.images.options.max_image_size
        if announced is not None and announced > (await asyncio.to_thread(self.data.usage)).free:
            raise StoreFull
        async for batch in _batches(pieces):
            if sink.size + len(batch) > limit:
                await _drain(pieces)
                raise errors.ImageTooLarge(limit=limit)
            await room.reach(sink.size + len(batch))
            await asyncio.to_thread(sink.take, batch)
        if announced is not None and announced != sink.size:
            raise errors.ShortUpload(announced=announced, received=sink.size)
        return await asyncio.to_thread(sink.finish)

    @retried
    async def _activate(self, image_id: str, upload_id: str, values: dict[str, Any]) -> None:
        values = values | {"status": "active", "upload_id": None, "reserved": None, "updated_at": self.images.now()}
        async with self.database.transaction() as tx:
            if not await store.change(tx.connection, image_id, values, status=("saving",), upload_id=upload_id):
                raise errors.DeletedDuringUpload(image_id=image_id)

    async def _undo(self, upload: Upload, image_id: str, upload_id: str) -> None:
        """Also when the request's task is being cancelled."""

        async def steps() -> None:
            try:
                await asyncio.to_thread(upload.abort)
            except StoreFailed as error:  # what is left goes when the process or the upload's hold on it has ended
                logger.error("upload not removed from the store", image_id=image_id, reason=str(error))
            await self._back_to_queued(image_id, upload_id)

        ending = asyncio.ensure_future(steps())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        await asyncio.shield(ending)

    @retried
    async def _back_to_queued(self, image_id: str, upload_id: str) -> None:
        values = NO_DATA | {"status": "queued", "updated_at": self.images.now()}
        async with self.database.transaction() as tx:
            await store.change(tx.connection, image_id, values, status=("saving",), upload_id=upload_id)

    async def close(self) -> None:
        """Wait for uploads that are being undone."""
        await asyncio.gather(*self._endings, return_exceptions=True)

    async def open(self, image: ImageRecord, *, is_admin: bool) -> Reader | None:
        """The image's data, None when it has none (yet)."""
        if image.status == "deactivated" and not is_admin:
            raise errors.Deactivated
        if image.status not in ("active", "deactivated"):
            return None
        try:
            reader = await asyncio.to_thread(self.data.open, UUID(image.id))
        except StoreFailed as error:
            logger.error("image store failed", image_id=image.id, store=self.data.name, reason=str(error))
            raise errors.StoreAway from error
        if reader is None:
            logger.error("image data missing in the store", image_id=image.id, store=self.data.name)
            raise errors.DataMissing(image_id=image.id)
        return reader


async def pieces_of(reader: Reader, wanted: Range) -> AsyncIterator[bytes]:
    """The bytes of a range; the reader is closed at the end, however that comes."""
    offset = wanted.start
    try:
        while offset <= wanted.end:
            data = await asyncio.to_thread(reader.read, offset, min(BATCH, wanted.end + 1 - offset))
            if not data:
                return
            offset += len(data)
            yield data
    finally:
        # not awaited: this may run while the task is cancelled, and a read may still hold the file
        asyncio.get_running_loop().run_in_executor(None, reader.close)


async def _batches(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held: list[bytes] = []
    size = 0
    async for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= BATCH:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


async def _drain(pieces: AsyncIterator[bytes]) -> None:
    seen = 0
    async for piece in pieces:
        seen += len(piece)
        if seen > DRAIN:
            return
