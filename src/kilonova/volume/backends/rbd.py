"""Volumes as block images of a Ceph pool.

`volume-ID` with the snapshots `snapshot-ID` (of users) and `clone-ID` (what the volume ID was cloned from); `new-ID` while an
image is copied into it. A copy shares what it has in common with its source, and is made independent (flattened) when that is
deleted. Attachments are in the image's metadata. Several hosts may use one image: guests reach it with their host's Ceph
user, so an attachment that was taken back keeps no host out.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TypeVar
from weakref import WeakValueDictionary

from kilonova.core.ceph import ImageMissing, Pool
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
from kilonova.volume.backends.errors import ImageRefused, NotSupported, SnapshotMissing, VolumeBusy
from kilonova.volume.backends.options import RbdBackendOptions
from kilonova.volume.backends.rbd_images import (
    ATTACHMENT,
    CLONE,
    NEW,
    SIZE,
    SNAPSHOT,
    VOLUME,
    ImageWriter,
    attachments,
    converted,
    failures,
    flatten_children,
    parent_in,
    pieces,
    qcow2_of,
)
from kilonova.volume.backends.registry import BackendContext

GIB = 1 << 30
WORKERS = 8
UNKNOWN = 1 << 50  # bytes of a cluster that does not count them, as no manager runs; one that is full says so itself
RAW = ("raw", "iso", "ami", "ari", "aki")
ENCRYPTED = "volume {}: the rbd back end does not encrypt volumes"
T = TypeVar("T")


class RbdBackend(VolumeDriver):
    name = "rbd"

    def __init__(self, context: BackendContext) -> None:
        self._options: RbdBackendOptions = context.options or RbdBackendOptions()
        self._folder = context.folder
        self._pool = Pool(self._options, self._options.volume_pool)
        self._threads = ThreadPoolExecutor(WORKERS, thread_name_prefix="rbd")
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._sizes: dict[str, int] = {}
        self._fsid = ""

    async def start(self) -> None:
        self._fsid = await self._run("start", "", self._pool.fsid)

    async def stop(self) -> None:
        await self._run("stop", "", self._pool.close)

    async def capacity(self) -> Capacity:
        def look() -> tuple[tuple[int, int], int]:
            names = {name for name in self._pool.names() if name.startswith(VOLUME)}
            self._sizes = {name: size for name, size in self._sizes.items() if name in names}
            for name in names - self._sizes.keys():
                self._sizes[name] = self._pool.size(name) or 0
            return self._pool.usage(), sum(self._sizes.values())

        (total, free), provisioned = await self._run("capacity", "", look)
        if not total:
            total = free = UNKNOWN
        return Capacity(
            total_gb=total / GIB, free_gb=free / GIB, provisioned_gb=provisioned / GIB, thin=True, protocol="ceph",
            multiattach=True,
        )  # fmt: skip

    async def create(self, volume_id: str, size_gb: int, *, key: Secret | None = None) -> None:
        _must_be_plain(volume_id, key)
        await self._change("create", volume_id, lambda: self._pool.create(VOLUME + volume_id, size_gb * GIB))

    async def create_from_image(
        self, volume_id: str, size_gb: int, image: VolumeImage, *, key: Secret | None = None
    ) -> None:
        _must_be_plain(volume_id, key)
        if image.size > size_gb * GIB or image.min_disk > size_gb:
            raise ImageRefused(f"volume {volume_id}: image {image.id} does not fit into {size_gb} GiB")
        async with self._lock(volume_id):
            name = VOLUME + volume_id
            there = await self._run("create from image", volume_id, lambda: self._pool.exists(name))
            if not there and not await self._run("clone image to", volume_id, lambda: self._clone_image(name, image)):
                await self._copy(volume_id, size_gb * GIB, image)
            # also where it is there: a process that died here had left it as large as its image
            await self._run("create from image", volume_id, lambda: self._grow(name, size_gb * GIB))

    def _clone_image(self, name: str, image: VolumeImage) -> bool:
        """From where the image service has it, if that is in this cluster."""
        parent = parent_in(self._options, self._fsid, image)
        if parent is not None:
            self._pool.clone(name, parent.image, parent.snapshot, parent.pool)
        return parent is not None

    async def _copy(self, volume_id: str, size: int, image: VolumeImage) -> None:
        new = NEW + volume_id
        if image.disk_format in RAW:
            await self._write(volume_id, image)
        else:
            await converted(self._options, self._pool, new, size, image, self._folder / new)
        await self._run("copy image to", volume_id, lambda: self._pool.rename(new, VOLUME + volume_id))

    async def _write(self, volume_id: str, image: VolumeImage) -> None:
        writer = ImageWriter(self._pool, NEW + volume_id, image)
        await self._run("copy image to", volume_id, writer.start)
        try:
            async for data in image.open():
                await self._run("copy image to", volume_id, functools.partial(writer.write, data))
            await self._run("copy image to", volume_id, writer.finish)
        except BaseException:
            await asyncio.shield(self._run("undo copying to", volume_id, writer.abort))
            raise

    async def clone(self, volume_id: str, size_gb: int, source_id: str) -> None:
        source, target, snapshot = VOLUME + source_id, VOLUME + volume_id, CLONE + volume_id

        def make() -> None:
            with failures("clone volume", source_id):
                size = self._pool.size(source)
                if size is None:
                    raise ImageMissing(source)
            if not self._pool.exists(target):
                self._pool.snapshot(source, snapshot)
                self._pool.clone(target, source, snapshot)
            self._grow(target, max(size_gb * GIB, size))

        await self._change("clone to", volume_id, make)

    async def create_from_snapshot(self, volume_id: str, size_gb: int, snapshot_id: str, source_id: str) -> None:
        source, target = VOLUME + source_id, VOLUME + volume_id

        def make() -> None:
            self._must_have(source_id, snapshot_id)
            self._pool.clone(target, source, SNAPSHOT + snapshot_id)
            self._grow(target, size_gb * GIB)

        await self._change("create from snapshot", volume_id, make)

    async def delete(self, volume_id: str) -> None:
        def remove() -> None:
            name = VOLUME + volume_id
            try:
                snapshots = self._pool.snapshots(name)
            except ImageMissing:
                return
            if attachments(self._pool, name) or any(found.startswith(SNAPSHOT) for found in snapshots):
                raise VolumeBusy(f"delete volume {volume_id}: it is attached or has snapshots")
            for snapshot in snapshots:
                self._drop(name, snapshot)
            parent = self._pool.parent(name)
            self._pool.remove(name)
            if parent is not None and parent.snapshot == CLONE + volume_id:
                with suppress(ImageMissing):
                    self._pool.drop_snapshot(parent.image, parent.snapshot)

        await self._change("delete", volume_id, remove)

    async def extend(self, volume_id: str, size_gb: int) -> None:
        await self._change("extend", volume_id, lambda: self._grow(VOLUME + volume_id, size_gb * GIB))

    async def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        await self._change(
            "snapshot", volume_id, lambda: self._pool.snapshot(VOLUME + volume_id, SNAPSHOT + snapshot_id)
        )

    async def delete_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        def drop() -> None:
            with suppress(ImageMissing):
                self._drop(VOLUME + volume_id, SNAPSHOT + snapshot_id)

        await self._change("delete a snapshot of", volume_id, drop)

    async def revert(self, volume_id: str, snapshot_id: str) -> None:
        """The size is noted first: the image has the snapshot's after a roll-back."""

        def roll_back() -> None:
            name = VOLUME + volume_id
            self._must_have(volume_id, snapshot_id)
            if attachments(self._pool, name):
                raise VolumeBusy(f"revert volume {volume_id}: it is attached")
            with self._pool.opened(name) as image:
                noted = dict(image.metadata_list()).get(SIZE, "0")
                size = max(int(noted), image.size())
                image.metadata_set(SIZE, str(size))
                image.rollback_to_snap(SNAPSHOT + snapshot_id)
                image.resize(size)
                image.metadata_remove(SIZE)

        await self._change("revert", volume_id, roll_back)

    @asynccontextmanager
    async def export(self, volume_id: str, disk_format: str) -> AsyncIterator[Export]:
        if disk_format not in ("raw", "qcow2"):
            raise NotSupported(f"export volume {volume_id}: format {disk_format}, only raw and qcow2")
        name = VOLUME + volume_id
        size = await self._run("export", volume_id, lambda: self._pool.size(name))
        if size is None:
            with failures("export volume", volume_id):
                raise ImageMissing("there is none")
        if disk_format == "raw":
            yield Export(size=size, open=lambda: pieces(self._pool, name, self._threads))
        else:
            async with qcow2_of(self._options, name, self._folder / f"{volume_id}.qcow2") as export:
                yield export

    async def connect(self, volume_id: str, attachment_id: str, connector: Connector) -> ConnectionInfo:
        def note() -> None:
            with self._pool.opened(VOLUME + volume_id) as image:
                image.metadata_set(ATTACHMENT + attachment_id, connector.host)

        await self._change("attach", volume_id, note)
        data = {
            "name": f"{self._pool.name}/{VOLUME}{volume_id}", "fsid": self._fsid, "auth_enabled": True,
            "secret_type": "ceph", "discard": True, "qos_specs": None, "access_mode": connector.mode,
        }  # fmt: skip
        return ConnectionInfo(driver_volume_type="rbd", data=data)

    async def disconnect(self, volume_id: str, attachment_id: str) -> None:
        def forget() -> None:
            name = VOLUME + volume_id
            with suppress(ImageMissing):
                if attachment_id in attachments(self._pool, name):
                    with self._pool.opened(name) as image:
                        image.metadata_remove(ATTACHMENT + attachment_id)

        await self._change("detach", volume_id, forget)

    async def volumes(self) -> list[StoredVolume]:
        def look() -> list[StoredVolume]:
            found = []
            for name in self._pool.names():
                with suppress(ImageMissing):
                    if name.startswith(VOLUME):
                        found.append(self._stored(name))
            return found

        return await self._run("list", "", look)

    # inside; what blocks runs on our own threads

    def _stored(self, name: str) -> StoredVolume:
        with self._pool.opened(name, read_only=True) as image:
            snapshots = [s["name"].removeprefix(SNAPSHOT) for s in image.list_snaps() if s["name"].startswith(SNAPSHOT)]
            held = [key.removeprefix(ATTACHMENT) for key, _ in image.metadata_list() if key.startswith(ATTACHMENT)]
            size = -(-image.size() // GIB)
        return StoredVolume(
            id=name.removeprefix(VOLUME), size_gb=size, snapshots=tuple(snapshots), attachments=tuple(held)
        )

    def _grow(self, name: str, size: int) -> None:
        with self._pool.opened(name) as image:
            if image.size() < size:
                image.resize(size)
        self._sizes.pop(name, None)

    def _drop(self, name: str, snapshot: str) -> None:
        """What is cloned of it is made independent before."""
        if snapshot in self._pool.snapshots(name):
            flatten_children(self._options, self._pool, name, snapshot)
            self._pool.drop_snapshot(name, snapshot)

    def _must_have(self, volume_id: str, snapshot_id: str) -> None:
        if not self._pool.exists(VOLUME + volume_id, SNAPSHOT + snapshot_id):
            raise SnapshotMissing(f"snapshot {snapshot_id} of volume {volume_id}: there is none")

    def _lock(self, volume_id: str) -> asyncio.Lock:
        return self._locks.setdefault(volume_id, asyncio.Lock())

    async def _change(self, what: str, volume_id: str, act: Callable[[], T]) -> T:
        async with self._lock(volume_id):
            return await self._run(what, volume_id, act)

    async def _run(self, what: str, volume_id: str, act: Callable[[], T]) -> T:
        def call() -> T:
            with failures(f"{what} volume" if volume_id else what, volume_id):
                return act()

        return await asyncio.get_running_loop().run_in_executor(self._threads, call)


def _must_be_plain(volume_id: str, key: Secret | None) -> None:
    if key is not None:
        raise NotSupported(ENCRYPTED.format(volume_id))
