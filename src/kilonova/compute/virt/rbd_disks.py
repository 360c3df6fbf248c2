"""Servers' disks as block images of a Ceph pool that all hosts share: clones of their images where those are in the cluster.

`SERVER_disk`, `SERVER_disk.eph0`, `SERVER_disk.swap`, `SERVER_disk.rescue`; with `.new` while it is filled, with `.aside.MOVE`
what was set aside for a move (rbd_moves.py). Kernels, config drives and console logs are files of the host.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from kilonova.compute.virt.block import BlockSource, RbdSource
from kilonova.compute.virt.disks import BaseImage, Export
from kilonova.compute.virt.file_disks import GIB, FileDisksOptions
from kilonova.compute.virt.rbd_moves import MovableRbd
from kilonova.core import log
from kilonova.core.block.errors import DiskError, DiskFull
from kilonova.core.block.images import Fetch, ImageSource
from kilonova.core.ceph import CephError, CephFull, CephOptions, ImageBusy, ImageMissing, Parent, Pool, qemu

IMAGE_SNAPSHOT = "snap"
COPY = "export"  # the snapshot that an image is made of
PIECE = 4 << 20
PATIENCE = 1.0  # seconds
BUSY_TRIES, BUSY_PAUSE = 45, 1.0  # seconds; osd_client_watch_timeout is 30
T = TypeVar("T")
LOG = log.get(__name__)


class ClonedImage(BaseImage, frozen=True, kw_only=True):
    """An image that stays where it is; `path` is its id alone."""

    parent: Parent


class RbdDisks(MovableRbd):
    """The disks of one host in Ceph."""

    def __init__(self, options: FileDisksOptions, ceph: CephOptions) -> None:
        super().__init__(options)
        self._ceph = ceph
        self._total: int | None = None
        self._asking: asyncio.Future[None] | None = None
        self._pool, self._images = Pool(ceph, ceph.server_pool), Pool(ceph, ceph.image_pool)

    async def fetch(self, image: ImageSource, fetch: Fetch) -> BaseImage:
        """A raw image of the cluster is not fetched at all; the image service has checked it."""
        if image.disk_format == "raw" and image.container_format == "bare":
            name = str(UUID(image.id))
            size = await self._run(f"looking for image {name}", lambda: self._images.size(name, IMAGE_SNAPSHOT))
            if size is not None and size == image.size:
                parent = Parent(self._images.name, name, IMAGE_SNAPSHOT)
                return ClonedImage(path=Path(name), format="raw", virtual_size=size, parent=parent)
        return await super().fetch(image, fetch)

    async def overlay(self, server_uuid: str, base: BaseImage, *, size_gb: int) -> BlockSource:
        wanted, step = size_gb * GIB, f"root disk of server {server_uuid}"
        if wanted and wanted < base.virtual_size:
            raise DiskError(
                f"{step}: {size_gb} GiB ({wanted} bytes) is less than the {base.virtual_size} bytes of image {base.path.name}"
            )
        return await self._made(self.root(server_uuid), base, max(wanted, base.virtual_size), step)

    async def own_root(self, server_uuid: str, *, size_gb: int) -> BlockSource | None:
        name, step = self.root(server_uuid), f"root disk of server {server_uuid}"
        if not await self._run(step, lambda: self._pool.exists(name)):
            return None
        await self._run(step, lambda: self._pool.grow(name, size_gb * GIB))
        return self._source(name)

    async def full_root(self, server_uuid: str, base: BaseImage, *, size_gb: int) -> BlockSource:
        step, name = f"root disk of server {server_uuid}", self.root(server_uuid)
        source = await self._made(name, base, max(size_gb * GIB, base.virtual_size), step)
        if isinstance(base, ClonedImage):
            await self._run(step, lambda: self._pool.flatten(name))
        else:
            await asyncio.to_thread(self._cache.drop, base)
        return source

    async def _made(self, name: str, base: BaseImage, size: int, step: str) -> RbdSource:
        """One that is there is kept, and only ever grown."""
        async with self._locks[name]:
            if not await self._run(step, lambda: self._pool.exists(name)):
                if isinstance(base, ClonedImage):
                    parent = base.parent
                    await self._run(step, lambda: self._pool.clone(name, parent.image, parent.snapshot, parent.pool))
                else:
                    await self._filled(name, base.path, base.format, step)
            await self._run(step, lambda: self._pool.grow(name, size))
        return self._source(name)

    async def _filled(self, name: str, path: Path, format: str, step: str) -> None:
        new = f"{name}.new"
        await self._run(step, lambda: self._pool.remove(new))
        await qemu.convert(str(path), format, qemu.url(self._ceph, self._pool.name, new), "raw", step=step)
        await self._run(step, lambda: self._pool.rename(new, name))

    async def blank(self, server_uuid: str, name: str, *, size_gb: float, filesystem: str | None) -> BlockSource:
        """Made as a file, which takes no room, and copied."""
        step, size = f"disk {name} of server {server_uuid}", int(size_gb * GIB)
        image = f"{self.root(server_uuid)}.{name.removeprefix('disk.')}"
        async with self._locks[image]:
            held = await self._run(step, lambda: self._pool.size(image))
            if held is not None and filesystem == "swap" and held != size:
                await self._run(step, lambda: self._pool.remove(image))
                held = None
            if held is None:
                file = await self._blank(server_uuid, name, size_gb=size_gb, filesystem=filesystem)
                await self._filled(image, file.path, file.format, step)
                await asyncio.to_thread(file.path.unlink, missing_ok=True)
            await self._run(step, lambda: self._pool.grow(image, size))
        return self._source(image)

    async def rescue(self, server_uuid: str, base: BaseImage) -> BlockSource:
        """One that an earlier call made of another image goes."""
        name, step = f"{self.root(server_uuid)}.rescue", f"rescue disk of server {server_uuid}"
        parent = await self._run(step, lambda: self._pool.parent(name) if self._pool.exists(name) else None)
        if not isinstance(base, ClonedImage) or parent != base.parent:
            await self._freed(step, lambda: self._pool.remove(name))
        return await self._made(name, base, base.virtual_size, step)

    async def drop_rescue(self, server_uuid: str) -> None:
        step = f"rescue disk of server {server_uuid}"
        await self._freed(step, lambda: self._pool.remove(f"{self.root(server_uuid)}.rescue"))
        await super().drop_rescue(server_uuid)

    async def copy_target(self, server_uuid: str) -> tuple[BlockSource, BlockSource]:
        """The copy is a snapshot, taken here: the hypervisor has nothing to do, which it sees by both being the same."""
        name = self.root(server_uuid)
        await self._run(f"copy of the disk of server {server_uuid}", lambda: self._pool.snapshot(name, COPY))
        return self._source(name), self._source(name)

    async def export(self, server_uuid: str, disk_format: str) -> Export:
        name, step = self.root(server_uuid), f"image of the disk of server {server_uuid}"
        copy = COPY if await self._run(step, lambda: self._pool.exists(name, COPY)) else None
        if disk_format == "raw":
            size = await self._run(step, lambda: self._pool.size(name, copy))
            if size is None:
                raise DiskError(f"{step}: the server has no disk")
            return Export(size=size, open=lambda: self._pieces(name, copy, step))
        source = qemu.url(self._ceph, self._pool.name, f"{name}@{copy}" if copy else name)
        return await self._exports.made(
            server_uuid, step, lambda target: qemu.convert(source, "raw", str(target), disk_format, step=step)
        )

    async def _pieces(self, name: str, snapshot: str | None, step: str) -> AsyncIterator[bytes]:
        opened = self._pool.opened(name, snapshot, read_only=True)
        image = await self._run(step, opened.__enter__)
        try:
            size = image.size()
            for offset in range(0, size, PIECE):
                read = functools.partial(image.read, offset, min(PIECE, size - offset))
                yield await self._run(step, read)
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)

    async def drop_export(self, server_uuid: str) -> None:
        name = self.root(server_uuid)

        def drop() -> None:
            try:
                self._pool.drop_snapshot(name, COPY)
            except ImageMissing:
                return

        await self._run(f"image of the disk of server {server_uuid}", drop)
        await super().drop_export(server_uuid)

    async def wipe(self, server_uuid: str, *, keep: Collection[str] = ()) -> None:
        root = self.root(server_uuid)
        kept = {f"{root}.{name.removeprefix('disk.')}" for name in keep}
        step = f"removing the disks of server {server_uuid}"

        def drop() -> None:
            for name in self.disks_of(server_uuid):
                if name not in kept:
                    self.drop(name)

        await self._freed(step, drop)
        await super().wipe(server_uuid, keep=keep)

    async def present(self, server_uuid: str) -> bool:
        name = self.root(server_uuid)
        return await self._run(f"looking for the disk of server {server_uuid}", lambda: self._pool.exists(name))

    async def storage(self) -> str:
        fsid = await self._run("reading which storage this is", self._pool.fsid)
        return f"rbd:{fsid}:{self._pool.name}"

    async def total_gb(self) -> int | None:
        """What it was when the cluster answered last: a host tells of itself also while that is away."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask_total())
        await asyncio.wait([self._asking], timeout=PATIENCE)
        return self._total

    async def _ask_total(self) -> None:
        try:
            total, _ = await self._run("asking for the room", self._pool.usage)
        except DiskError as error:
            LOG.warning("Ceph does not say how large it is", reason=str(error))
        else:
            self._total = total // GIB or None

    def _source(self, name: str) -> RbdSource:
        return RbdSource(pool=self._pool.name, image=name)

    async def _freed(self, step: str, act: Callable[[], T]) -> T:
        """For what removes images: the cluster takes a guest that was killed for one that runs, until it misses it."""
        for _ in range(BUSY_TRIES):
            try:
                return await self._run(step, act)
            except DiskError as error:
                if not isinstance(error.__cause__, ImageBusy):
                    raise
            await asyncio.sleep(BUSY_PAUSE)
        return await self._run(step, act)

    async def _run(self, step: str, act: Callable[[], T]) -> T:
        def call() -> T:
            with _errors(step):
                return act()

        return await asyncio.to_thread(call)


@contextmanager
def _errors(step: str) -> Iterator[None]:
    try:
        yield
    except CephError as error:
        kind = DiskFull if isinstance(error, CephFull) else DiskError
        raise kind(f"{step}: {error}") from error
