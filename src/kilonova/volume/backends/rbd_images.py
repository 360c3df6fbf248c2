"""What the back end `rbd` does with single block images: filling, reading, finding what they are clones of. Blocking, where no
coroutine."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Executor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from kilonova.core.block import errors as disk_errors
from kilonova.core.block.download import receive
from kilonova.core.block.images import ImageSource
from kilonova.core.ceph import CephAway, CephError, CephFull, CephOptions, ImageBusy, ImageMissing, Parent, Pool, qemu
from kilonova.volume.backends.driver import Export, VolumeImage
from kilonova.volume.backends.errors import BackendAway, BackendError, ImageRefused, NoSpace, VolumeBusy, VolumeMissing

VOLUME, NEW = "volume-", "new-"
SNAPSHOT, CLONE = "snapshot-", "clone-"
ATTACHMENT, SIZE = "attachment-", "size"
IMAGE_SNAPSHOT = "snap"
PIECE = 4 << 20
KINDS: tuple[tuple[type[Exception], type[BackendError]], ...] = (
    (disk_errors.ImageRefused, ImageRefused), (disk_errors.DiskFull, NoSpace),
    (ImageMissing, VolumeMissing), (ImageBusy, VolumeBusy), (CephFull, NoSpace), (CephAway, BackendAway),
)  # fmt: skip


@contextmanager
def failures(what: str, volume_id: str) -> Iterator[None]:
    """Errors of Ceph and of disk tools as a back end's."""
    try:
        yield
    except (CephError, disk_errors.DiskError) as error:
        kind = next((ours for theirs, ours in KINDS if isinstance(error, theirs)), BackendError)
        raise kind(f"{what} {volume_id}: {error}") from error


def attachments(pool: Pool, name: str) -> list[str]:
    with pool.opened(name, read_only=True) as image:
        return [key.removeprefix(ATTACHMENT) for key, _ in image.metadata_list() if key.startswith(ATTACHMENT)]


def flatten_children(options: CephOptions, pool: Pool, name: str, snapshot: str) -> None:
    for child_pool, child in pool.children(name, snapshot):
        if child_pool == pool.name:
            pool.flatten(child)
        else:
            other = Pool(options, child_pool)
            try:
                other.flatten(child)
            finally:
                other.close()


def parent_in(options: CephOptions, fsid: str, image: VolumeImage) -> Parent | None:
    """Where in this cluster the image's raw data are, complete and protected."""
    if image.disk_format != "raw" or image.container_format != "bare":
        return None
    begin = f"rbd://{fsid}/"
    given = [url.removeprefix(begin).split("/") for url in image.locations if url.startswith(begin)]
    places = [Parent(*words) for words in given if len(words) == 3]
    for place in (*places, Parent(options.image_pool, image.id, IMAGE_SNAPSHOT)):
        pool = Pool(options, place.pool)
        try:
            if pool.size(place.image, place.snapshot) == image.size:
                return place
        except CephError:  # another user's pool: the image is copied
            continue
        finally:
            pool.close()
    return None


class ImageWriter:
    """Writes the bytes of an image, checks their number and hash; zeros take no room."""

    def __init__(self, pool: Pool, name: str, image: VolumeImage) -> None:
        self._pool, self._name, self._image = pool, name, image
        self._hash = hashlib.new(image.hash_algo) if image.hash_algo else None
        self._opened: Any = None
        self._rbd: Any = None
        self._count = 0

    def start(self) -> None:
        self._pool.remove(self._name)  # of a try before
        self._pool.create(self._name, self._image.size)
        self._opened = self._pool.opened(self._name)
        self._rbd = self._opened.__enter__()

    def write(self, data: bytes) -> None:
        if self._count + len(data) > self._image.size:
            self._refuse(f"more than the {self._image.size} bytes of its record arrived")
        if self._hash is not None:
            self._hash.update(data)
        if data.count(0) != len(data):
            with self._pool.step(f"writing {self._name}"):
                self._rbd.write(data, self._count)
        self._count += len(data)

    def finish(self) -> None:
        if self._count != self._image.size:
            self._refuse(f"{self._count} bytes arrived, its record says {self._image.size}")
        if self._hash is not None and self._hash.hexdigest() != (self._image.hash_value or "").lower():
            self._refuse(f"its {self._image.hash_algo} is not that of its record")
        with self._pool.step(f"writing {self._name}"):
            self._rbd.flush()
        self._close()

    def abort(self) -> None:
        self._close()
        self._pool.remove(self._name)

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.__exit__(None, None, None)
        self._opened = self._rbd = None

    def _refuse(self, reason: str) -> None:
        raise ImageRefused(f"volume {self._name.removeprefix(NEW)}: image {self._image.id}: {reason}")


async def pieces(pool: Pool, name: str, threads: Executor) -> AsyncIterator[bytes]:
    """All bytes of an image, in order."""
    loop = asyncio.get_running_loop()
    opened = pool.opened(name, read_only=True)
    image: Any = await loop.run_in_executor(threads, opened.__enter__)
    try:
        size = image.size()
        for offset in range(0, size, PIECE):
            yield await loop.run_in_executor(threads, image.read, offset, min(PIECE, size - offset))
    finally:
        await loop.run_in_executor(threads, opened.__exit__, None, None, None)


@asynccontextmanager
async def _file(file: Path) -> AsyncIterator[Path]:
    """A place for a file that goes afterwards."""
    await asyncio.to_thread(file.parent.mkdir, parents=True, exist_ok=True)
    try:
        yield file
    finally:
        await asyncio.to_thread(file.unlink, missing_ok=True)


@asynccontextmanager
async def qcow2_of(options: CephOptions, name: str, path: Path) -> AsyncIterator[Export]:
    """By way of a file."""
    async with _file(path) as file:
        source = qemu.url(options, options.volume_pool, name)
        with failures("export", name):
            await qemu.convert(source, "raw", str(file), "qcow2", step="making a qcow2")
        found = await asyncio.to_thread(file.stat)
        yield Export(size=found.st_size, open=lambda: _read(file))


async def converted(options: CephOptions, pool: Pool, name: str, size: int, image: VolumeImage, path: Path) -> None:
    """The content of an image that is not raw, downloaded into a file, inspected, and copied into a new image of the pool."""
    source = ImageSource(
        id=image.id, disk_format=image.disk_format, container_format=image.container_format, size=image.size,
        hash_algo=image.hash_algo, hash_value=image.hash_value,
    )  # fmt: skip
    async with _file(path) as file:
        with failures("copy image to volume", name.removeprefix(NEW)):
            found = await receive(file, source, image.open, name=image.id)
            if found.virtual_size > size:
                raise disk_errors.ImageRefused(f"image {image.id}: its {found.virtual_size} bytes do not fit")
            await asyncio.to_thread(pool.remove, name)
            await qemu.convert(str(file), found.format, qemu.url(options, pool.name, name), "raw", step="copying")


async def _read(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as given:
        while piece := await asyncio.to_thread(given.read, PIECE):
            yield piece
