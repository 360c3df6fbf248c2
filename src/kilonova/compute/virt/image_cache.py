"""The host's cache of base images: downloaded once, checked, renamed into place; shared by processes."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from kilonova.compute.virt.disks import BaseImage
from kilonova.compute.virt.instance_dirs import InstanceDirs, as_uuid
from kilonova.core.block import download
from kilonova.core.block.errors import DiskError, ImageRefused
from kilonova.core.block.files import os_errors
from kilonova.core.block.images import Fetch, ImageSource

LOCK_POLL = 0.05


class Sidecar(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out about a cached image; written before the image appears, so every image has one."""

    format: str
    virtual_size: int
    size: int
    hash_algo: str | None
    hash_value: str | None


class _Flight:
    """A download in progress and how many wait for it."""

    def __init__(self, task: asyncio.Task[BaseImage]) -> None:
        self.task = task
        self.waiting = 0


class ImageCache:
    """Base images under `dirs.base`."""

    def __init__(self, dirs: InstanceDirs) -> None:
        self._dirs = dirs
        self._flights: dict[str, _Flight] = {}
        self._swept = False

    async def get(self, image: ImageSource, fetch: Fetch) -> BaseImage:
        """See `DiskStore.fetch`. Callers of one image share one download, which ends when all of them gave up."""
        image_id = as_uuid(image.id, "image")
        flight = self._flights.get(image_id)
        if flight is None:
            flight = _Flight(asyncio.create_task(self._get(image_id, image, fetch), name=f"image {image_id}"))
            self._flights[image_id] = flight
            flight.task.add_done_callback(lambda task: self._landed(image_id, task))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                self._flights.pop(image_id, None)
                flight.task.cancel()
                await asyncio.wait([flight.task])

    def drop(self, base: BaseImage) -> None:
        """Forget an image; blocking."""
        with os_errors(f"removing image {base.path.name}"):
            base.path.unlink(missing_ok=True)
            base.path.with_suffix(".json").unlink(missing_ok=True)

    def _landed(self, image_id: str, task: asyncio.Task[BaseImage]) -> None:
        flight = self._flights.get(image_id)
        if flight is not None and flight.task is task:
            del self._flights[image_id]

    async def _get(self, image_id: str, image: ImageSource, fetch: Fetch) -> BaseImage:
        await asyncio.to_thread(self._open)
        base = await asyncio.to_thread(self._cached, image_id, image)
        if base is not None:
            return base
        async with file_lock(self._dirs.base / ".locks" / image_id):
            base = await asyncio.to_thread(self._cached, image_id, image)
            return base or await self._download(image_id, image, fetch)

    def _open(self) -> None:
        """Make the directories and, once, remove what crashed downloads left."""
        self._dirs.make()
        if self._swept:
            return
        locks = self._dirs.base / ".locks"
        with os_errors("opening the image cache"):
            locks.mkdir(exist_ok=True)
            for left in self._dirs.base.glob(".*.part"):
                with (locks / left.name[1:37]).open("w") as lock, suppress(BlockingIOError):
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    left.unlink(missing_ok=True)
        self._swept = True

    def _cached(self, image_id: str, image: ImageSource) -> BaseImage | None:
        path = self._dirs.base / image_id
        try:
            sidecar = msgspec.json.decode(path.with_suffix(".json").read_bytes(), type=Sidecar)
            if path.stat().st_size != sidecar.size:
                return None
        except (FileNotFoundError, msgspec.MsgspecError):
            return None
        known = (sidecar.hash_algo, sidecar.hash_value)
        if image.hash_algo == sidecar.hash_algo and (image.hash_algo, image.hash_value) != known:
            raise ImageRefused(f"image {image_id}: its checksum changed; the cached copy has {sidecar.hash_value}")
        return BaseImage(path=path, format=sidecar.format, virtual_size=sidecar.virtual_size)

    async def _download(self, image_id: str, image: ImageSource, fetch: Fetch) -> BaseImage:
        path = self._dirs.base / image_id
        part = self._dirs.base / f".{image_id}.part"
        try:
            found = await download.receive(part, image, fetch, name=image_id)
            sidecar = Sidecar(
                format=found.format, virtual_size=found.virtual_size, size=image.size,
                hash_algo=image.hash_algo, hash_value=image.hash_value)  # fmt: skip
            with os_errors(f"keeping image {image_id}"):
                await asyncio.to_thread(self._keep, part, path, sidecar)
        finally:
            part.unlink(missing_ok=True)
        return BaseImage(path=path, format=found.format, virtual_size=found.virtual_size)

    def _keep(self, part: Path, path: Path, sidecar: Sidecar) -> None:
        with part.open("rb") as file:
            os.fsync(file.fileno())
        self._dirs.hand_over(part)
        card = path.with_suffix(".json")
        temporary = path.with_name(f".{path.name}.json.part")
        try:
            temporary.write_bytes(msgspec.json.encode(sidecar))
            temporary.replace(card)
        finally:
            temporary.unlink(missing_ok=True)
        part.replace(path)


@asynccontextmanager
async def file_lock(path: Path) -> AsyncIterator[None]:
    """Hold an exclusive lock between processes; waiting can be cancelled."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(LOCK_POLL)
            except OSError as error:
                raise DiskError(f"locking {path}: {error.strerror}") from error
        yield
