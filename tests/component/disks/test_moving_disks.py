"""A server's disks set aside, put back, copied on one storage and carried to another host."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from kilonova.compute.agent.transfers import DiskTransfers
from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions
from kilonova.compute.virt.libvirt.logtail import tail
from kilonova.compute.virt.movable_files import shown
from kilonova.compute.virt.packing import Begin, Data, End, packed
from kilonova.core.block.errors import DiskError
from kilonova.core.block.images import ImageSource

from .support import GIB, MIB, Download, image, tool
from .test_server_disks import info

MIGRATION = str(uuid.uuid4())
SECRET = "s" * 32


@pytest.fixture
def other(tmp_path: Path) -> FileDisks:
    """Of another host, with a state directory of another name."""
    return FileDisks(FileDisksOptions(state_dir=tmp_path / "elsewhere"))


async def launched(disks: FileDisks, server: str, content: bytes, source: ImageSource | None = None) -> Path:
    base = await disks.fetch(source or image(content), Download(content))
    root = await disks.overlay(server, base, size_gb=1)
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 0x5a 4096 4096", root.path)
    await disks.blank(server, "disk.eph0", size_gb=1, filesystem="ext4")
    return root.path


def written(disk: Path) -> bool:
    """Is what the guest wrote there?"""
    return "Pattern verification failed" not in tool("qemu-io", "-f", "qcow2", "-c", "read -P 0x5a 4096 4096", disk)


async def test_aside_and_back(disks: FileDisks, server: str) -> None:
    """Each can be repeated; what came in between goes."""
    disk = await launched(disks, server, os.urandom(MIB))
    for _ in range(2):
        await disks.set_aside(server, MIGRATION)
        assert await disks.is_aside(server, MIGRATION)
        assert not await disks.present(server)
        assert await disks.servers() == set()
    for _ in range(2):
        assert await disks.take_aside(server, MIGRATION)
    assert written(disk)
    assert await disks.present(server)
    await disks.discard(server)
    assert await disks.is_aside(server, MIGRATION)
    for _ in range(2):
        await disks.put_back(server, MIGRATION)
        assert written(disk)
        assert not await disks.is_aside(server, MIGRATION)
    with pytest.raises(DiskError, match="No such file"):
        await disks.set_aside(str(uuid.uuid4()), MIGRATION)
    assert not await disks.take_aside(str(uuid.uuid4()), MIGRATION)


async def test_what_is_aside_is_found_by_a_server_without_disks_alone(disks: FileDisks, server: str) -> None:
    disk = await launched(disks, server, os.urandom(MIB))
    await disks.set_aside(server, MIGRATION)
    await disks.take_aside(server, MIGRATION)
    await disks.put_back(server)
    assert await disks.is_aside(server, MIGRATION)
    await disks.discard(server)
    await disks.put_back(server)
    assert written(disk)


async def test_a_copy_that_became_the_servers_is_kept(disks: FileDisks, server: str) -> None:
    """Another host has put back what was aside on the storage of both."""
    disk = await launched(disks, server, os.urandom(MIB))
    await disks.set_aside(server, MIGRATION)
    await disks.take_aside(server, MIGRATION)
    await disks.discard(server, aside=MIGRATION)
    assert not await disks.present(server)
    assert await disks.is_aside(server, MIGRATION)
    await disks.put_back(server, MIGRATION)
    for _ in range(2):
        await disks.discard(server, aside=MIGRATION)
    assert written(disk)


async def test_removal_takes_all(disks: FileDisks, server: str, state: Path) -> None:
    await launched(disks, server, os.urandom(MIB))
    await disks.set_aside(server, MIGRATION)
    await disks.take_aside(server, MIGRATION)
    await disks.drop_aside(server, str(uuid.uuid4()))
    await disks.drop_aside(server, MIGRATION)
    assert await disks.present(server)
    await disks.set_aside(server, MIGRATION)
    await disks.take_aside(server, MIGRATION)
    await disks.remove(server)
    assert not [entry for entry in (state / "instances").iterdir() if entry.name.startswith(server)]


async def test_to_another_host(disks: FileDisks, other: FileDisks, server: str, tmp_path: Path) -> None:
    """The copy is on the other host's image, grows, and is as sparse as what it was made of."""
    content = os.urandom(MIB)
    source = image(content)
    await launched(disks, server, content, source)
    await disks.set_aside(server, MIGRATION)
    sender, receiver = DiskTransfers("127.0.0.1"), DiskTransfers()
    asked: list[tuple[str, str]] = []

    async def asked_for(migration: str, secret: str) -> str | None:
        asked.append((migration, secret))
        return server if secret == SECRET else None

    sender.add("h-1", disks, asked_for)
    await sender.start()
    try:
        url = sender.url("h-1")
        for _ in range(2):
            await other.unpack(server, receiver.fetch(url, MIGRATION, SECRET))
        async with httpx.AsyncClient(trust_env=False) as client:
            refused = [await client.get(f"{url}/{MIGRATION}"), await client.get(f"{url[:-3]}h-2/{MIGRATION}")]
            headers = {"Authorization": f"Bearer {SECRET}"}
            refused += [await client.get(f"{url}/{bad}", headers=headers) for bad in ("%00", "..%2f" + MIGRATION, "x")]
        assert [answer.status_code for answer in refused] == [404] * 5
        assert {migration for migration, _ in asked} == {MIGRATION}
        with pytest.raises(DiskError, match="answers 404"):
            await other.unpack(str(uuid.uuid4()), receiver.fetch(url, MIGRATION, "wrong"))
    finally:
        await sender.stop()
    assert asked[0] == (MIGRATION, SECRET)
    base = await other.fetch(source, Download(content))
    root = await other.overlay(server, base, size_gb=2)
    assert written(root.path)
    assert info(root.path)["virtual-size"] == 2 * GIB
    assert info(root.path)["backing-filename"] == str(base.path)
    ephemeral = await other.blank(server, "disk.eph0", size_gb=2, filesystem="ext4")
    assert ephemeral.path.stat().st_size == 2 * GIB
    assert ephemeral.path.stat().st_blocks * 512 < 64 * MIB
    assert "clean" in tool("e2fsck", "-n", ephemeral.path)
    with pytest.raises(DiskError, match="ConnectError"):
        await other.unpack(str(uuid.uuid4()), receiver.fetch(url, MIGRATION, SECRET))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ([packed(Begin(name="disk", size=3)), packed(Data(offset=0, data=b"abc"))], "stopped in the middle"),
        ([packed(Begin(name="../disk", size=3))], "is not the name"),
        ([b"\xff\xff\xff\xff"], "no records"),
        ([b"\0\0\0\1x"], "no records"),
        (
            [packed(Begin(name="disk", size=9)), *[packed(Data(offset=0, data=b"abc"))] * 3, packed(End())],
            "more than the 8 bytes",
        ),
    ],
)
async def test_a_bad_stream_leaves_nothing(disks: FileDisks, server: str, sent: list[bytes], words: str) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for part in sent:
            yield part

    with pytest.raises(DiskError, match=words):
        await disks.unpack(server, stream(), most=8)
    assert not await disks.present(server)


async def test_a_stream_may_have_as_much_as_is_allowed(disks: FileDisks, server: str) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield packed(Begin(name="disk", size=1 << 30))  # the hole does not count
        yield packed(Data(offset=0, data=b"12345678"))
        yield packed(End())

    await disks.unpack(server, stream(), most=8)
    assert await disks.present(server)


async def test_swap_of_another_size_is_made_anew(disks: FileDisks, server: str) -> None:
    await launched(disks, server, os.urandom(MIB))
    for size in (1.0, 0.5, 2.0):
        swap = await disks.blank(server, "disk.swap", size_gb=size, filesystem="swap")
        assert swap.path.stat().st_size == size * GIB
        assert "swap" in tool("file", "-s", swap.path)


async def test_a_disk_of_another_host_reads_no_files_of_this_one(disks: FileDisks, server: str, tmp_path: Path) -> None:
    """Neither as its data, nor below its image by another format than the image has."""
    content = os.urandom(MIB)
    base = await disks.fetch(image(content), Download(content))
    root = (await disks.overlay(server, base, size_gb=1)).path
    tool("qemu-img", "rebase", "-u", "-f", "qcow2", "-b", base.path, "-F", "qcow2", root)
    await disks.overlay(server, base, size_gb=1)
    assert info(root)["backing-filename-format"] == base.format == "raw"
    root.unlink()
    tool("qemu-img", "create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'foreign'},data_file_raw=on", root, "1G")
    with pytest.raises(DiskError, match="in another file"):
        await disks.overlay(server, base, size_gb=1)
    with pytest.raises(DiskError, match="in another file"):
        await disks.own_root(server, size_gb=1)


async def test_the_form_of_disks_whose_guest_runs(disks: FileDisks, other: FileDisks, server: str) -> None:
    """As large as they are, and empty: what is in them the hypervisor carries. What a guest only reads comes along."""
    disk = await launched(disks, server, os.urandom(MIB))
    await disks.config_drive(server, {"openstack/latest/meta_data.json": b"{}"})
    disks.console_log(server).write_text("booted\n")
    await other.unpack(server, disks.pack_form(server))
    here, there = disk.parent, other.console_log(server).parent
    assert sorted(path.name for path in there.iterdir()) == ["disk", "disk.config", "disk.eph0"]
    found = info(there / "disk")
    assert (found["virtual-size"], found.get("backing-filename")) == (GIB, None)
    assert (there / "disk.eph0").stat().st_size == GIB
    assert found["actual-size"] < MIB
    assert (there / "disk.config").read_bytes() == (here / "disk.config").read_bytes()


async def test_what_the_console_showed_before(disks: FileDisks, other: FileDisks, server: str) -> None:
    for store, text in ((disks, "booted\n"), (other, "goes on\n")):
        await launched(store, server, os.urandom(MIB))
        store.console_log(server).write_text(text)
    for _ in range(2):
        await other.take_log(server, disks.pack_log(server))
    assert tail(other.console_log(server), 100) == b"booted\ngoes on\n"
    assert shown(other.console_log(server), 100) == b"booted\ngoes on\n"
