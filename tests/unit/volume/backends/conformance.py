"""What every volume back end must do. A test module inherits `Conformance` and gives the fixture `make_backend`, which makes one
on the same storage each time it is called, and the fixture `content`, which reads and writes a volume's bytes, None where there
are none."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import pytest

from kilonova.volume.backends.driver import Connector, StoredVolume, VolumeDriver, VolumeImage
from kilonova.volume.backends.errors import (
    ImageRefused,
    NotSupported,
    SnapshotMissing,
    VolumeBusy,
    VolumeMissing,
)

GIB = 1 << 30
MakeBackend = Callable[[], VolumeDriver]
HERE = Connector(host="host-1", ip="127.0.0.1", initiator="iqn.2026-01.test:host-1")


class Content(Protocol):
    """The first bytes of volumes that are not attached."""

    async def write(self, volume_id: str, data: bytes) -> None: ...

    async def read(self, volume_id: str, length: int) -> bytes: ...


def new_id() -> str:
    return str(uuid.uuid4())


def image_of(data: bytes, **changes: Any) -> VolumeImage:
    async def read() -> AsyncIterator[bytes]:
        yield data

    fields: dict[str, Any] = {
        "id": new_id(), "disk_format": "raw", "size": len(data), "hash_algo": "sha512",
        "hash_value": hashlib.sha512(data).hexdigest(), "open": read,
    }  # fmt: skip
    return VolumeImage(**fields | changes)


async def found(backend: VolumeDriver, volume_id: str) -> StoredVolume | None:
    held = [volume for volume in await backend.volumes() if volume.id == volume_id]
    assert len(held) < 2
    return held[0] if held else None


async def must_find(backend: VolumeDriver, volume_id: str) -> StoredVolume:
    volume = await found(backend, volume_id)
    assert volume is not None
    return volume


class Conformance:
    @pytest.fixture
    async def backend(self, make_backend: MakeBackend) -> AsyncIterator[VolumeDriver]:
        made = make_backend()
        await made.start()
        yield made
        await made.stop()

    async def test_volumes_come_and_go(self, backend: VolumeDriver) -> None:
        volume = new_id()
        for _ in range(2):
            await backend.create(volume, 1)
            assert (await must_find(backend, volume)).size_gb == 1
        for _ in range(2):
            await backend.delete(volume)
            assert await found(backend, volume) is None

    async def test_what_is_there_outlives_the_agent(self, backend: VolumeDriver, make_backend: MakeBackend) -> None:
        volume, snapshot, attachment = new_id(), new_id(), new_id()
        await backend.create(volume, 1)
        await backend.snapshot(snapshot, volume)
        info = await backend.connect(volume, attachment, HERE)
        await backend.stop()
        again = make_backend()
        await again.start()
        try:
            held = await must_find(again, volume)
            assert (held.snapshots, held.attachments) == ((snapshot,), (attachment,))
            assert await again.connect(volume, attachment, HERE) == info
            await again.disconnect(volume, attachment)
            await again.delete_snapshot(snapshot, volume)
            await again.delete(volume)
        finally:
            await again.stop()

    async def test_two_at_once_are_as_good_as_one(self, backend: VolumeDriver) -> None:
        volume, snapshot = new_id(), new_id()
        await asyncio.gather(*(backend.create(volume, 1) for _ in range(3)))
        await asyncio.gather(*(backend.snapshot(snapshot, volume) for _ in range(3)))
        assert (await must_find(backend, volume)).snapshots == (snapshot,)
        await asyncio.gather(*(backend.delete_snapshot(snapshot, volume) for _ in range(3)))
        await asyncio.gather(*(backend.delete(volume) for _ in range(3)))
        assert await found(backend, volume) is None

    async def test_unknown_volumes_and_snapshots(self, backend: VolumeDriver) -> None:
        volume, unknown = new_id(), new_id()
        await backend.create(volume, 1)
        await backend.delete(unknown)
        await backend.delete_snapshot(unknown, volume)
        await backend.delete_snapshot(new_id(), unknown)
        await backend.disconnect(unknown, new_id())
        await backend.disconnect(volume, new_id())
        missing: tuple[Awaitable[object], ...] = (
            backend.extend(unknown, 2),
            backend.snapshot(new_id(), unknown),
            backend.clone(new_id(), 1, unknown),
            backend.connect(unknown, new_id(), HERE),
        )
        for act in missing:
            with pytest.raises(VolumeMissing, match=unknown):
                await act
        for without in (backend.revert(volume, unknown), backend.create_from_snapshot(new_id(), 1, unknown, volume)):
            with pytest.raises(SnapshotMissing, match=unknown):
                await without
        with pytest.raises(VolumeMissing, match=unknown):
            async with backend.export(unknown, "raw"):
                pass

    async def test_a_volume_grows_and_never_shrinks(self, backend: VolumeDriver) -> None:
        volume, attachment = new_id(), new_id()
        await backend.create(volume, 1)
        for size in (2, 2, 1):
            await backend.extend(volume, size)
            assert (await must_find(backend, volume)).size_gb == 2
        await backend.connect(volume, attachment, HERE)
        await backend.extend(volume, 3)
        assert (await must_find(backend, volume)).size_gb == 3
        await backend.disconnect(volume, attachment)

    async def test_what_is_in_use_is_not_deleted(self, backend: VolumeDriver) -> None:
        volume, snapshot, attachment = new_id(), new_id(), new_id()
        await backend.create(volume, 1)
        await backend.snapshot(snapshot, volume)
        with pytest.raises(VolumeBusy, match=volume):
            await backend.delete(volume)
        await backend.connect(volume, attachment, HERE)
        with pytest.raises(VolumeBusy, match=volume):
            await backend.revert(volume, snapshot)
        await backend.delete_snapshot(snapshot, volume)
        with pytest.raises(VolumeBusy, match=volume):
            await backend.delete(volume)
        await backend.disconnect(volume, attachment)
        await backend.delete(volume)

    async def test_each_attachment_is_one_of_its_own(self, backend: VolumeDriver) -> None:
        volume, one, two = new_id(), new_id(), new_id()
        await backend.create(volume, 1)
        first = await backend.connect(volume, one, HERE)
        assert await backend.connect(volume, one, HERE) == first
        await backend.connect(volume, two, HERE)
        assert set((await must_find(backend, volume)).attachments) == {one, two}
        for _ in range(2):
            await backend.disconnect(volume, one)
            assert (await must_find(backend, volume)).attachments == (two,)
        await backend.disconnect(volume, two)
        assert (await must_find(backend, volume)).attachments == ()

    async def test_copies_have_what_was_there(self, backend: VolumeDriver, content: Content | None) -> None:
        volume, snapshot, clone, copy = new_id(), new_id(), new_id(), new_id()
        await backend.create(volume, 1)
        await _write(content, volume, b"first")
        for _ in range(2):
            await backend.snapshot(snapshot, volume)
        await _write(content, volume, b"other")
        for _ in range(2):
            await backend.clone(clone, 2, volume)
            await backend.create_from_snapshot(copy, 1, snapshot, volume)
        assert ((await must_find(backend, clone)).size_gb, (await must_find(backend, copy)).size_gb) == (2, 1)
        for which, expected in ((clone, b"other"), (copy, b"first"), (volume, b"other")):
            await _holds(content, which, expected)
        for _ in range(2):
            await backend.revert(volume, snapshot)
        await _holds(content, volume, b"first")
        await backend.delete_snapshot(snapshot, volume)
        await backend.delete(volume)
        await _holds(content, clone, b"other")
        await _holds(content, copy, b"first")

    async def test_a_volume_that_grew_keeps_its_size_when_it_is_reverted(self, backend: VolumeDriver) -> None:
        volume, snapshot = new_id(), new_id()
        await backend.create(volume, 1)
        await backend.snapshot(snapshot, volume)
        await backend.extend(volume, 2)
        await backend.revert(volume, snapshot)
        assert (await must_find(backend, volume)).size_gb == 2

    async def test_a_volume_of_an_image(self, backend: VolumeDriver, content: Content | None) -> None:
        volume, data = new_id(), b"an image's bytes" + bytes(4096)
        for _ in range(2):
            await backend.create_from_image(volume, 1, image_of(data))
        assert (await must_find(backend, volume)).size_gb == 1
        await _holds(content, volume, b"an image's bytes")

    async def test_an_image_that_does_not_fit(self, backend: VolumeDriver) -> None:
        volume = new_id()
        for image in (image_of(b"x" * 512, min_disk=2), image_of(b"", size=2 * GIB)):
            with pytest.raises(ImageRefused, match=volume):
                await backend.create_from_image(volume, 1, image)
            assert await found(backend, volume) is None

    async def test_a_volume_is_exported_as_an_image(self, backend: VolumeDriver) -> None:
        volume = new_id()
        await backend.create(volume, 1)
        for disk_format in ("raw", "qcow2"):
            async with backend.export(volume, disk_format) as export:
                assert sum([len(chunk) async for chunk in export.open()]) == export.size
        with pytest.raises(NotSupported, match="vmdk"):
            async with backend.export(volume, "vmdk"):
                pass

    async def test_capacity(self, backend: VolumeDriver) -> None:
        before = await backend.capacity()
        assert 0 <= before.free_gb <= before.total_gb
        assert before.protocol
        await backend.create(new_id(), 3)
        assert (await backend.capacity()).provisioned_gb == before.provisioned_gb + 3


async def _write(content: Content | None, volume_id: str, data: bytes) -> None:
    if content is not None:
        await content.write(volume_id, data)


async def _holds(content: Content | None, volume_id: str, data: bytes) -> None:
    if content is not None:
        assert await content.read(volume_id, len(data)) == data
