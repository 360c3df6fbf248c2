"""The back end `rbd` on a real Ceph."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from kilonova.core.ceph import CephOptions, Pool
from kilonova.core.secret import Secret
from kilonova.volume.backends.errors import BackendAway, ImageRefused, NotSupported
from kilonova.volume.backends.options import RbdBackendOptions
from kilonova.volume.backends.rbd import RbdBackend
from kilonova.volume.backends.registry import BackendContext, load
from tests.unit.volume.backends.conformance import Conformance, MakeBackend, image_of, new_id

GIB = 1 << 30
pytestmark = pytest.mark.ceph


@pytest.fixture
def options(ceph_options: Callable[[str], CephOptions]) -> RbdBackendOptions:
    return RbdBackendOptions(**msgspec.structs.asdict(ceph_options("volume")))


@pytest.fixture
def make_backend(options: RbdBackendOptions, tmp_path: Path) -> MakeBackend:
    context = BackendContext(name="rbd", host="host-1", state_dir=tmp_path, options=options)
    return lambda: load("rbd", context)


class RbdContent:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def write(self, volume_id: str, data: bytes) -> None:
        with self._pool.opened(f"volume-{volume_id}") as image:
            image.write(data, 0)

    async def read(self, volume_id: str, length: int) -> bytes:
        with self._pool.opened(f"volume-{volume_id}", read_only=True) as image:
            return bytes(image.read(0, length))


@pytest.fixture
def content(options: RbdBackendOptions):
    pool = Pool(options, "volumes")
    yield RbdContent(pool)
    pool.close()


class TestRbd(Conformance):
    async def test_an_image_in_the_cluster_is_cloned(
        self, backend: RbdBackend, content: RbdContent, ceph_options: Callable[[str], CephOptions]
    ) -> None:
        volume, image = new_id(), image_of(b"bytes of an image" + bytes(4096))
        images = Pool(ceph_options("image"), "images")
        images.create(image.id, image.size)
        with images.opened(image.id) as given:
            given.write(b"bytes of an image", 0)
        images.snapshot(image.id, "snap")
        for _ in range(2):
            await backend.create_from_image(volume, 1, image)
        assert content._pool.parent(f"volume-{volume}") == ("images", image.id, "snap")
        assert content._pool.size(f"volume-{volume}") == GIB
        assert await content.read(volume, 17) == b"bytes of an image"
        await backend.delete(volume)
        images.close()

    async def test_bytes_that_are_not_the_images_leave_nothing(
        self, backend: RbdBackend, content: RbdContent, tmp_path: Path
    ) -> None:
        volume, data = new_id(), b"x" * 512
        for image in (
            image_of(data, hash_value=hashlib.sha512(b"other").hexdigest()), image_of(data, size=1024),
            image_of(data, size=100), image_of(data, disk_format="qcow2"), image_of(_qcow2(tmp_path, 2), disk_format="qcow2"),
        ):  # fmt: skip
            with pytest.raises(ImageRefused, match=volume):
                await backend.create_from_image(volume, 1, image)
            assert content._pool.names() == []

    async def test_a_qcow2_is_converted(self, backend: RbdBackend, content: RbdContent, tmp_path: Path) -> None:
        volume = new_id()
        await backend.create_from_image(volume, 2, image_of(_qcow2(tmp_path, 1), disk_format="qcow2"))
        assert content._pool.size(f"volume-{volume}") == 2 * GIB
        assert await content.read(volume, 6) == b"inside"
        assert content._pool.names() == [f"volume-{volume}"]

    async def test_a_deleted_clone_leaves_no_snapshot_and_a_deleted_source_leaves_the_clone(
        self, backend: RbdBackend, content: RbdContent
    ) -> None:
        source, one, two = new_id(), new_id(), new_id()
        await backend.create(source, 1)
        await content.write(source, b"data")
        await backend.clone(one, 1, source)
        await backend.clone(two, 1, source)
        await backend.delete(one)
        assert content._pool.snapshots(f"volume-{source}") == [f"clone-{two}"]
        await backend.delete(source)
        assert await content.read(two, 4) == b"data"
        assert content._pool.names() == [f"volume-{two}"]

    async def test_no_encryption_that_is_not_there(self, backend: RbdBackend) -> None:
        with pytest.raises(NotSupported, match="encrypt"):
            await backend.create(new_id(), 1, key=Secret(b"passphrase"))


def _qcow2(folder: Path, size_gb: int) -> bytes:
    raw, made = folder / "image.raw", folder / "image.qcow2"
    raw.write_bytes(b"inside")
    os.truncate(raw, size_gb * GIB)
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(made)], check=True)
    return made.read_bytes()


async def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    conf = tmp_path / "ceph.conf"
    conf.write_text("[global]\nfsid = 00000000-0000-0000-0000-000000000001\nmon_host = 127.0.0.1:1\n")
    options = RbdBackendOptions(conf=conf, timeout=1)
    backend = load("rbd", BackendContext(name="rbd", host="host-1", state_dir=tmp_path, options=options))
    with pytest.raises(BackendAway, match=r"ceph\.conf"):
        await asyncio.wait_for(backend.start(), 60)
