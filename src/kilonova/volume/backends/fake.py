"""Volumes without data, which outlive the process as real ones do: thousands in one process, for scale and for trials."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase

import msgspec

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
from kilonova.volume.backends.errors import (
    BackendError,
    ImageRefused,
    NotSupported,
    SnapshotMissing,
    VolumeBusy,
    VolumeMissing,
)
from kilonova.volume.backends.options import FakeBackendOptions
from kilonova.volume.backends.registry import BackendContext

GIB = 1 << 30
ANY = "*"
FORMATS = ("raw", "qcow2")


class FakeVolume(msgspec.Struct, frozen=True, omit_defaults=True):
    """`gone`: it was deleted; `attachments` by id: the host's name."""

    id: str
    size_gb: int = 0
    snapshots: tuple[str, ...] = ()
    attachments: dict[str, str] = {}
    gone: bool = False


class FakeBackend(VolumeDriver):
    """Each change is a line in a file, written before the call returns; the kernel keeps it when the process is killed."""

    name = "fake"

    def __init__(self, context: BackendContext) -> None:
        self._clock = context.clock
        self._options = context.options or FakeBackendOptions()
        self._path = context.folder / "fake.jsonl"
        self._volumes: dict[str, FakeVolume] = {}
        self._log = -1

    async def start(self) -> None:
        await self._strike("start", self._path.parent.name)
        if self._log < 0:
            self._log = await asyncio.to_thread(self._load)

    async def stop(self) -> None:
        if self._log >= 0:
            os.close(self._log)
            self._log = -1

    async def capacity(self) -> Capacity:
        total, provisioned = float(self._options.total_gb), float(sum(v.size_gb for v in self._volumes.values()))
        return Capacity(
            total_gb=total, free_gb=total, provisioned_gb=provisioned, thin=True, protocol="fake", multiattach=True
        )

    async def create(self, volume_id: str, size_gb: int, *, key: Secret | None = None) -> None:
        await self._strike("create", volume_id)
        self._make(volume_id, size_gb)

    async def create_from_image(
        self, volume_id: str, size_gb: int, image: VolumeImage, *, key: Secret | None = None
    ) -> None:
        await self._strike("create_from_image", volume_id, image.id)
        if image.size > size_gb * GIB or image.min_disk > size_gb:
            raise ImageRefused(f"volume {volume_id}: image {image.id} does not fit into {size_gb} GiB")
        self._make(volume_id, size_gb)

    async def clone(self, volume_id: str, size_gb: int, source_id: str) -> None:
        await self._strike("clone", volume_id)
        self._make(volume_id, max(size_gb, self._get(source_id).size_gb))

    async def create_from_snapshot(self, volume_id: str, size_gb: int, snapshot_id: str, source_id: str) -> None:
        await self._strike("create_from_snapshot", volume_id)
        source = self._get(source_id)
        _must_have(source, snapshot_id)
        self._make(volume_id, size_gb)

    async def delete(self, volume_id: str) -> None:
        await self._strike("delete", volume_id)
        volume = self._volumes.get(volume_id)
        if volume is None:
            return
        if volume.attachments or volume.snapshots:
            raise VolumeBusy(f"delete volume {volume_id}: it is attached or has snapshots")
        self._put(FakeVolume(volume_id, gone=True))

    async def extend(self, volume_id: str, size_gb: int) -> None:
        await self._strike("extend", volume_id)
        volume = self._get(volume_id)
        self._put(msgspec.structs.replace(volume, size_gb=max(size_gb, volume.size_gb)))

    async def snapshot(self, snapshot_id: str, volume_id: str) -> None:
        await self._strike("snapshot", snapshot_id)
        volume = self._get(volume_id)
        if snapshot_id not in volume.snapshots:
            self._put(msgspec.structs.replace(volume, snapshots=(*volume.snapshots, snapshot_id)))

    async def delete_snapshot(self, snapshot_id: str, volume_id: str) -> None:
        await self._strike("delete_snapshot", snapshot_id)
        if (volume := self._volumes.get(volume_id)) is not None:
            left = tuple(held for held in volume.snapshots if held != snapshot_id)
            self._put(msgspec.structs.replace(volume, snapshots=left))

    async def revert(self, volume_id: str, snapshot_id: str) -> None:
        await self._strike("revert", volume_id)
        volume = self._get(volume_id)
        _must_have(volume, snapshot_id)
        if volume.attachments:
            raise VolumeBusy(f"revert volume {volume_id}: it is attached")

    @asynccontextmanager
    async def export(self, volume_id: str, disk_format: str) -> AsyncIterator[Export]:
        await self._strike("export", volume_id)
        self._get(volume_id)
        if disk_format not in FORMATS:
            raise NotSupported(f"export volume {volume_id}: format {disk_format}, only {', '.join(FORMATS)}")
        yield Export(size=len(volume_id), open=lambda: _bytes(volume_id.encode()))

    async def connect(self, volume_id: str, attachment_id: str, connector: Connector) -> ConnectionInfo:
        await self._strike("connect", volume_id, attachment_id)
        volume = self._get(volume_id)
        if attachment_id not in volume.attachments:
            attachments = {**volume.attachments, attachment_id: connector.host}
            self._put(msgspec.structs.replace(volume, attachments=attachments))
        return ConnectionInfo(driver_volume_type="fake", data={"volume_id": volume_id})

    async def disconnect(self, volume_id: str, attachment_id: str) -> None:
        await self._strike("disconnect", volume_id, attachment_id)
        volume = self._volumes.get(volume_id)
        if volume is not None and attachment_id in volume.attachments:
            left = {held: host for held, host in volume.attachments.items() if held != attachment_id}
            self._put(msgspec.structs.replace(volume, attachments=left))

    async def volumes(self) -> list[StoredVolume]:
        return [
            StoredVolume(id=v.id, size_gb=v.size_gb, snapshots=v.snapshots, attachments=tuple(v.attachments))
            for v in self._volumes.values()
        ]

    # inside

    def _get(self, volume_id: str) -> FakeVolume:
        try:
            return self._volumes[volume_id]
        except KeyError:
            raise VolumeMissing(f"volume {volume_id}: there is none") from None

    def _make(self, volume_id: str, size_gb: int) -> None:
        if volume_id not in self._volumes:
            self._put(FakeVolume(volume_id, size_gb))

    def _put(self, volume: FakeVolume) -> None:
        self._apply(volume)
        if self._log >= 0:
            os.write(self._log, msgspec.json.encode(volume) + b"\n")

    def _apply(self, volume: FakeVolume) -> None:
        if volume.gone:
            self._volumes.pop(volume.id, None)
        else:
            self._volumes[volume.id] = volume

    def _load(self) -> int:
        """Read the file, rewrite it without history, and return its descriptor, open for appending."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
            try:
                self._apply(msgspec.json.decode(line, type=FakeVolume))
            except msgspec.DecodeError:  # the last line of a killed process may be torn
                continue
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(b"".join(msgspec.json.encode(volume) + b"\n" for volume in self._volumes.values()))
        fresh.replace(self._path)
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    async def _strike(self, operation: str, *names: str) -> None:
        """Take as long as the options say, then fail where they say so."""
        seconds = self._options.delay.get(operation, self._options.delay.get(ANY, 0.0))
        if seconds > 0:
            await self._clock.sleep(seconds)
        rule = self._options.fail.get(operation, self._options.fail.get(ANY, 0.0))
        if isinstance(rule, str):
            hit = any(fnmatchcase(name, rule) for name in names)
        else:
            hit = rule > 0 and int.from_bytes(self._clock.random_bytes(4)) < rule * (1 << 32)
        if hit:
            raise BackendError(f"{operation} of {names[0]}: the fake back end fails by its options")


def _must_have(volume: FakeVolume, snapshot_id: str) -> None:
    if snapshot_id not in volume.snapshots:
        raise SnapshotMissing(f"snapshot {snapshot_id} of volume {volume.id}: there is none")


async def _bytes(content: bytes) -> AsyncIterator[bytes]:
    yield content
