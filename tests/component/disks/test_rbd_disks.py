"""Servers' disks in a real Ceph."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from kilonova.compute.virt.block import RbdSource
from kilonova.compute.virt.file_disks import FileDisksOptions
from kilonova.compute.virt.rbd_disks import RbdDisks
from kilonova.core.block.errors import DiskError
from kilonova.core.block.images import ImageSource
from kilonova.core.ceph import CephOptions, Parent, Pool
from tests.eventually import until

from .support import GIB, MIB, Download, image, qcow2

pytestmark = pytest.mark.ceph
MOVE = str(uuid.uuid4())


class Storage:
    """Two hosts on one cluster, and images in it."""

    def __init__(self, options: Callable[[str], CephOptions], folder: Path) -> None:
        one, two = (RbdDisks(FileDisksOptions(state_dir=folder / name), options("compute")) for name in ("one", "two"))
        self.one, self.two = one, two
        self.pool, self._images = Pool(options("compute"), "servers"), Pool(options("image"), "images")

    def store(self, data: bytes) -> ImageSource:
        source = image(data)
        self._images.create(source.id, len(data))
        with self._images.opened(source.id) as held:
            held.write(data, 0)
        self._images.snapshot(source.id, "snap")
        return source

    async def launched(self, server: str, data: bytes, *, size_gb: int = 1) -> str:
        """A server on the first host; its root disk."""
        base = await self.one.fetch(self.store(data), Download(b""))
        await self.one.overlay(server, base, size_gb=size_gb)
        await self.one.blank(server, "disk.eph0", size_gb=1, filesystem="ext4")
        return self.one.root(server)

    def write(self, name: str, data: bytes) -> None:
        with self.pool.opened(name) as held:
            held.write(data, 0)

    def read(self, name: str, length: int) -> bytes:
        with self.pool.opened(name, read_only=True) as held:
            return bytes(held.read(0, length))

    def close(self) -> None:
        self.pool.close()
        self._images.close()


@pytest.fixture
def storage(ceph_options, tmp_path):
    made = Storage(ceph_options, tmp_path)
    yield made
    made.close()


async def test_a_root_disk_is_a_clone_of_its_image(storage: Storage, server: str) -> None:
    download = Download(b"")
    source = storage.store(b"system" + bytes(MIB))
    base = await storage.one.fetch(source, download)
    for _ in range(2):
        root = await storage.one.overlay(server, base, size_gb=2)
    assert root == RbdSource(pool="servers", image=f"{server}_disk")
    assert (storage.pool.size(root.image), download.opened) == (2 * GIB, 0)
    assert storage.pool.parent(root.image) == Parent("images", source.id, "snap")
    assert storage.read(root.image, 6) == b"system"
    with pytest.raises(DiskError, match="is less than"):
        await storage.one.overlay(server, base.__class__(**{
            name: getattr(base, name) for name in base.__struct_fields__
        } | {"virtual_size": 3 * GIB}), size_gb=1)  # fmt: skip
    assert await storage.one.present(server)
    await storage.one.remove(server)
    assert storage.pool.names() == []
    assert not await storage.one.present(server)


async def test_an_image_that_is_not_in_the_cluster_is_copied(storage: Storage, server: str, tmp_path: Path) -> None:
    content = qcow2(tmp_path / "made.qcow2")
    base = await storage.one.fetch(image(content, "qcow2"), Download(content))
    root = await storage.one.overlay(server, base, size_gb=1)
    assert (storage.pool.size(root.image), storage.pool.parent(root.image)) == (GIB, None)
    assert storage.pool.names() == [root.image]


async def test_blank_disks_have_a_file_system_and_keep_it(storage: Storage, server: str) -> None:
    for size in (1, 2):
        disk = await storage.one.blank(server, "disk.eph0", size_gb=size, filesystem="ext4")
        assert storage.pool.size(disk.image) == size * GIB
        with storage.pool.opened(disk.image) as held:
            assert held.read(1024 + 0x38, 2) == b"\x53\xef"
    swap = await storage.one.blank(server, "disk.swap", size_gb=0.25, filesystem="swap")
    with storage.pool.opened(swap.image) as held:
        assert held.read(4086, 10) == b"SWAPSPACE2"
    await storage.one.wipe(server, keep=["disk.eph0"])
    assert storage.pool.names() == [disk.image]


async def test_an_image_of_a_disk_is_what_it_was_at_one_moment(storage: Storage, server: str) -> None:
    root = await storage.launched(server, b"before")
    await storage.one.copy_target(server)
    storage.write(root, b"after!")
    export = await storage.one.export(server, "raw")
    pieces = [piece async for piece in export.open()]
    assert (b"".join(pieces)[:6], sum(map(len, pieces))) == (b"before", export.size)
    packed = await storage.one.export(server, "qcow2")
    assert (await anext(packed.open()))[:4] == b"QFI\xfb"
    for _ in range(2):
        await storage.one.drop_export(server)
    assert storage.pool.snapshots(root) == []


async def test_rescue_and_unshelve(storage: Storage, server: str) -> None:
    base = await storage.one.fetch(storage.store(b"rescue"), Download(b""))
    for _ in range(2):
        disk = await storage.one.rescue(server, base)
    assert storage.read(disk.image, 6) == b"rescue"
    await storage.one.drop_rescue(server)
    assert storage.pool.names() == []
    root = await storage.one.full_root(server, base, size_gb=1)
    assert storage.pool.parent(root.image) is None
    assert await storage.one.own_root(server, size_gb=2) == root
    assert storage.pool.size(root.image) == 2 * GIB


async def test_a_move_that_is_confirmed(storage: Storage, server: str) -> None:
    root = await storage.launched(server, b"mine")
    storage.write(root, b"data")
    assert await storage.one.storage() == await storage.two.storage()
    for _ in range(2):
        await storage.one.set_aside(server, MOVE)
    assert await storage.one.is_aside(server, MOVE)
    assert not await storage.two.present(server)
    for _ in range(2):
        assert await storage.two.take_aside(server, MOVE)
    assert storage.read(root, 4) == b"data"
    storage.write(root, b"more")
    for _ in range(2):
        await storage.one.drop_aside(server, MOVE)
    assert sorted(storage.pool.names()) == [root, f"{root}.eph0"]
    assert storage.read(root, 4) == b"more"
    await storage.two.discard(server, aside=MOVE)  # late: the disks are the server's
    assert sorted(storage.pool.names()) == [root, f"{root}.eph0"]
    await storage.two.remove(server)
    assert storage.pool.names() == []


async def test_a_move_that_is_taken_back(storage: Storage, server: str) -> None:
    root = await storage.launched(server, b"mine")
    await storage.one.set_aside(server, MOVE)
    await storage.two.take_aside(server, MOVE)
    storage.write(root, b"lost")
    for _ in range(2):
        await storage.one.put_back(server, MOVE)
    assert storage.read(root, 4) == b"mine"
    await storage.two.discard(server, aside=MOVE)
    assert sorted(storage.pool.names()) == [root, f"{root}.eph0"]
    assert storage.pool.snapshots(root) == []
    with pytest.raises(DiskError):
        await storage.two.set_aside(str(uuid.uuid4()), MOVE)
    assert not await storage.two.take_aside(str(uuid.uuid4()), MOVE)


async def test_a_copy_goes_while_the_old_disks_wait(storage: Storage, server: str) -> None:
    root = await storage.launched(server, b"mine")
    await storage.one.set_aside(server, MOVE)
    await storage.two.take_aside(server, MOVE)
    await storage.two.discard(server, aside=MOVE)
    assert not await storage.two.present(server)
    await storage.one.put_back(server)
    assert storage.read(root, 4) == b"mine"


async def test_a_guest_that_comes_while_it_runs_finds_its_disks(storage: Storage, server: str) -> None:
    root = await storage.launched(server, b"mine")
    drive = await storage.one.config_drive(server, {"openstack/latest/meta_data.json": b"{}"})
    await storage.two.unpack(server, storage.one.pack_form(server))
    assert (storage.two._dirs.server(server) / drive.path.name).exists()
    assert storage.read(root, 4) == b"mine"
    stranger = str(uuid.uuid4())
    with pytest.raises(DiskError, match="only one has its disks"):
        await storage.two.unpack(stranger, storage.one.pack_form(server))


async def test_a_host_tells_of_itself_while_the_cluster_is_away(tmp_path: Path) -> None:
    conf = tmp_path / "ceph.conf"
    conf.write_text("[global]\nfsid = 00000000-0000-0000-0000-000000000001\nmon_host = 127.0.0.1:1\n")
    disks = RbdDisks(FileDisksOptions(state_dir=tmp_path), CephOptions(conf=conf, timeout=2))
    assert await disks.total_gb() is None
    with pytest.raises(DiskError, match=r"ceph\.conf"):
        await disks.present(str(uuid.uuid4()))


async def test_a_guest_that_was_killed_is_waited_for(storage: Storage, server: str) -> None:
    """The cluster takes it for one that runs."""
    root = await storage.launched(server, b"mine")
    with subprocess.Popen([sys.executable, "-c", WATCHER, *_reach(storage), root]) as guest:
        await until(lambda: storage.pool.watchers(root), "no one has the disk open")
        guest.kill()
    await storage.one.remove(server)
    assert storage.pool.names() == []


WATCHER = """
import sys, time, rados, rbd
conf, user, keyring, name = sys.argv[1:]
cluster = rados.Rados(conffile=conf, rados_id=user, conf={"keyring": keyring})
cluster.connect()
image = rbd.Image(cluster.open_ioctx("servers"), name)
time.sleep(600)
"""


def _reach(storage: Storage) -> list[str]:
    options = storage.pool.options
    return [str(options.conf), options.user, options.keyring]
