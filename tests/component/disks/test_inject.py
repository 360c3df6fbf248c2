"""Files written into a guest's disk without a mount: overlays, raw, partitioned; hostile names and disks."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from kilonova.compute.virt import partitions
from kilonova.compute.virt.block import FileSource
from kilonova.compute.virt.disks import InjectedFile
from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions
from kilonova.compute.virt.inject import checked_path
from kilonova.core.block import sandbox
from kilonova.core.block.errors import DiskError
from tests.eventually import until

from .support import MIB, Download, disk_of, dos_table, ext4, file_at, gpt_table, image, tool

pytestmark = pytest.mark.skipif(not Path("/dev/fuse").exists(), reason="needs /dev/fuse")

LINUX, ROOT = "0fc63daf-8483-4772-8e79-3d69d8477de4", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"
EFI = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
WRITE_BYTE = 101  # of the bytes that qemu locks in an image
FILES = [
    InjectedFile(path="/root/.ssh/authorized_keys", content=b"ssh-ed25519 AAAA me\n", mode=0o600),
    InjectedFile(path="/etc/network/interfaces", content=b"auto lo\n"),
    InjectedFile(path="/etc/motd", content=os.urandom(70_000)),
    InjectedFile(path="/opt/a b/#c d/ü", content=b"", mode=0o755),
]


async def inject_and_read(disks: FileDisks, disk: FileSource) -> None:
    await disks.inject(disk, FILES)
    for file in FILES:
        assert await disks.read(disk, file.path) == file.content
    assert await disks.read(disk, "/etc/nothing") is None


def look(raw: Path, path: str, offset: int = 0) -> str:
    device = f"{raw}?offset={offset}" if offset else str(raw)
    tool("e2fsck", "-fn", device)
    return tool("debugfs", "-R", f'stat "{path}"', device)


def nothing_runs(state: Path) -> None:
    assert list((state / "_inject").glob("*")) == []  # which may not even be made yet
    assert str(state) not in Path("/proc/self/mountinfo").read_text().replace("\\040", " ")
    found = subprocess.run(["pgrep", "-f", f"^.*qemu-storage-daemon.*{state}"], capture_output=True)
    assert found.returncode == 1


async def test_raw(disks: FileDisks, state: Path, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    await inject_and_read(disks, file_at(raw))
    key = look(raw, "/root/.ssh/authorized_keys")
    assert "Mode:  0600" in key
    assert "User:     0   Group:     0" in key
    assert "Mode:  0700" in look(raw, "/root/.ssh")
    assert "Mode:  0755" in look(raw, "/etc/network")
    assert "Mode:  0755" in look(raw, "/opt/a b/#c d/ü")
    nothing_runs(state)


async def test_again_replaces(disks: FileDisks, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    await disks.inject(file_at(raw), FILES)
    await disks.inject(file_at(raw), [InjectedFile(path="/etc/motd", content=b"short", mode=0o640)])
    assert await disks.read(file_at(raw), "/etc/motd") == b"short"
    assert "Mode:  0640" in look(raw, "/etc/motd")


async def test_overlay_leaves_its_base_alone(disks: FileDisks, state: Path, server: str, tmp_path: Path) -> None:
    data = ext4(tmp_path / "raw").read_bytes()
    base = await disks.fetch(image(data), Download(data))
    disk = await disks.overlay(server, base, size_gb=1)
    await inject_and_read(disks, disk)
    assert base.path.read_bytes() == data
    tool("qemu-img", "check", "-f", "qcow2", disk.path)
    tool("qemu-img", "convert", "-f", "qcow2", "-O", "raw", disk.path, tmp_path / "flat")
    assert "Mode:  0600" in look(tmp_path / "flat", "/root/.ssh/authorized_keys")
    nothing_runs(state)


async def test_dos_partitions(disks: FileDisks, tmp_path: Path) -> None:
    table = dos_table([(0x0C, 2048, 2048), (0x83, 8192, 32768)])
    disk = disk_of(tmp_path / "d", table, [(8192, ext4(tmp_path / "p"))], 32 * MIB)
    await inject_and_read(disks, file_at(disk))
    assert "Mode:  0600" in look(disk, "/root/.ssh/authorized_keys", 8192 * 512)


async def test_gpt_in_an_overlay(disks: FileDisks, server: str, tmp_path: Path) -> None:
    """A /boot of its own comes first, as on many distributions: the one with /etc is taken."""
    table = gpt_table([(EFI, 2048, 4095), (LINUX, 4096, 12287), (LINUX, 16384, 49151)])
    parts = [(4096, ext4(tmp_path / "boot", 4 * MIB, etc=False)), (16384, ext4(tmp_path / "p"))]
    data = disk_of(tmp_path / "d", table, parts, 32 * MIB).read_bytes()
    base = await disks.fetch(image(data), Download(data))
    disk = await disks.overlay(server, base, size_gb=1)
    await inject_and_read(disks, disk)


def test_offsets_of_tables() -> None:
    assert partitions.linux_offsets(b"") == [0]
    assert partitions.linux_offsets(bytes(65536)) == [0]
    assert partitions.linux_offsets(dos_table([(0x83, 63, 5), (0x07, 70, 5), (0x83, 80, 0)])) == [0, 63 * 512]
    gpt = gpt_table([(LINUX, 34, 40), (EFI, 41, 50), (ROOT, 60, 90)])
    assert partitions.linux_offsets(gpt) == [60 * 512, 34 * 512]
    hostile = bytearray(gpt)
    for start, value in ((512 + 72, b"\xff" * 16), (512 + 80, b"\0\0\0\0\0\0\0\0"), (512 + 84, b"\1\0\0\0")):
        hostile[start : start + len(value)] = value
        assert partitions.linux_offsets(bytes(hostile)) == []


@pytest.mark.parametrize(
    "path",
    ["", "/", "etc/x", "/etc/../x", "/etc/./x", "//x", "/x/", "/a\nrm /etc/motd", '/a" "/b', "/a\0", "/a\\b", "/a\rb",
     "/\ud800", "/" + "n" * 256, "/" + "d/" * 600 + "x", "/a\u2028b", "/tab\tbed"],
)  # fmt: skip
async def test_hostile_paths(disks: FileDisks, tmp_path: Path, path: str) -> None:
    raw = ext4(tmp_path / "raw", 4 * MIB)
    before = raw.read_bytes()
    with pytest.raises(DiskError, match="can't write a file named"):
        await disks.inject(file_at(raw), [InjectedFile(path="/ok", content=b""), InjectedFile(path=path, content=b"")])
    with pytest.raises(DiskError, match="can't write a file named"):
        await disks.read(file_at(raw), path)
    assert raw.read_bytes() == before


async def test_names_that_mean_something_to_a_shell_are_only_names(disks: FileDisks, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw", 4 * MIB)
    mark = tmp_path / "mark"
    names = [
        "/!touch x",
        "/$(touch x)",
        "/`id`",
        "/<2>",
        "/-w",
        "/;id",
        "/a'b",
        "/#x",
        "/in0",
        "/%s",
        "/{}",
        "/~",
        "/*",
    ]
    files = [InjectedFile(path=name, content=name.encode()) for name in names]
    files.append(InjectedFile(path="/" + "/".join(["!" * 100] * 9), content=b"deep"))
    await disks.inject(file_at(raw), files)
    for file in files:
        assert await disks.read(file_at(raw), file.path) == file.content
    assert not mark.exists()
    assert checked_path("/etc/hostname") == "/etc/hostname"


async def test_what_cannot_be_written_is_named(disks: FileDisks, state: Path, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw", 4 * MIB)
    for path, match in (("/etc/motd/x", "/etc/motd is no directory"), ("/etc", "/etc is a directory")):
        with pytest.raises(DiskError, match=match):
            await disks.inject(file_at(raw), [InjectedFile(path=path, content=b"x")])
    look(raw, "/etc/motd")
    with pytest.raises(DiskError, match=r"writing /big into raw: .*allocate"):
        await disks.inject(file_at(raw), [InjectedFile(path="/big", content=os.urandom(5 * MIB))])
    with pytest.raises(DiskError, match="is a directory"):
        await disks.read(file_at(raw), "/etc")
    nothing_runs(state)


async def test_a_link_is_replaced_and_a_large_file_is_not_read(disks: FileDisks, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    (tmp_path / "cmds").write_text("symlink /etc/link /etc/shadow\nsymlink /etc/dir /root\n")
    (tmp_path / "big").write_bytes(b"")
    os.truncate(tmp_path / "big", 1 << 40)
    tool("debugfs", "-w", "-f", tmp_path / "cmds", raw)
    await disks.inject(file_at(raw), [InjectedFile(path="/etc/link", content=b"1")])
    await disks.inject(file_at(raw), [InjectedFile(path="/etc/dir/x", content=b"2")])
    assert await disks.read(file_at(raw), "/etc/link") == b"1"
    assert "Type: regular" in look(raw, "/root/x")
    tool("debugfs", "-w", "-R", "sif /etc/motd size 999999999999", raw)
    with pytest.raises(DiskError, match="has 999999999999 bytes, more than"):
        await disks.read(file_at(raw), "/etc/motd")


async def test_an_unclean_file_system_is_recovered_first(disks: FileDisks, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    tool("debugfs", "-w", "-R", "feature +needs_recovery", raw)
    await disks.inject(file_at(raw), [InjectedFile(path="/x", content=b"1")])
    assert "needs_recovery" not in tool("dumpe2fs", "-h", raw)
    assert await disks.read(file_at(raw), "/x") == b"1"


async def test_disks_that_have_no_linux_root(disks: FileDisks, state: Path, tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(MIB))
    with pytest.raises(DiskError, match="no ext2, ext3 or ext4 file system"):
        await disks.inject(file_at(tmp_path / "zeros"), FILES)
    with pytest.raises(DiskError, match=r"qemu-storage-daemon.*missing"):
        await disks.inject(file_at(tmp_path / "missing"), FILES)
    (tmp_path / "broken").write_bytes(b"no qcow2")
    with pytest.raises(DiskError, match="qemu-storage-daemon"):
        await disks.inject(file_at(tmp_path / "broken", "qcow2"), FILES)
    nothing_runs(state)


def may_write(image: Path) -> bool:
    """Does a qemu hold the byte that stands for writing to the image?"""
    locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    held = [lock[-2:] for lock in locks if lock[-3].split(":")[-1] == str(image.stat().st_ino)]
    return any(int(first) <= WRITE_BYTE and (last == "EOF" or int(last) >= WRITE_BYTE) for first, last in held)


async def test_a_disk_in_use_is_refused(disks: FileDisks, state: Path, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    guest = await sandbox.spawn(
        ["qemu-system-x86_64", "-S", "-nodefaults", "-display", "none", "-m", "8", "-device", "virtio-blk-pci,drive=d",
         "-drive", f"if=none,id=d,format=raw,file={raw}"], sandbox.Limits(address_space=8 << 30))  # fmt: skip
    await until(lambda: may_write(raw))
    with pytest.raises(DiskError, match='Failed to get "write" lock'):
        await disks.inject(file_at(raw), FILES)
    await sandbox.kill(guest)
    await disks.inject(file_at(raw), FILES)
    nothing_runs(state)


async def test_cancelling_leaves_nothing(disks: FileDisks, state: Path, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    for delay in (0.005, 0.02, 0.03, 0.04, 0.05):
        task = asyncio.create_task(disks.inject(file_at(raw), FILES))
        await asyncio.sleep(delay)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        nothing_runs(state)
        tool("e2fsck", "-fn", raw)
    await disks.inject(file_at(raw), FILES)


async def test_two_at_once_take_turns(disks: FileDisks, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    files = [InjectedFile(path=f"/etc/f{n}", content=bytes([n])) for n in range(4)]
    await asyncio.gather(*(disks.inject(file_at(raw), [file]) for file in files))
    for file in files:
        assert await disks.read(file_at(raw), file.path) == file.content
    look(raw, "/etc/f0")


async def test_a_file_system_damaged_by_a_crash_is_repaired(disks: FileDisks, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    tool("debugfs", "-w", "-R", "mkdir /etc", raw)  # leaves an inode that belongs nowhere
    (tmp_path / ".raw.injecting").touch()
    await disks.inject(file_at(raw), FILES)
    look(raw, "/etc/motd")
    assert not (tmp_path / ".raw.injecting").exists()


async def test_a_dead_daemon_and_a_dead_process_are_cleaned_up(state: Path, tmp_path: Path) -> None:
    raw = ext4(tmp_path / "raw")
    work = state / "_inject" / f"{2**22 + 5}-0"  # more than any pid
    work.mkdir(parents=True)
    (work / "disk").touch()
    daemon = await sandbox.spawn(
        ["qemu-storage-daemon", "--blockdev", f"driver=file,node-name=f,filename={raw}", "--export",
         f"type=fuse,id=e,node-name=f,mountpoint={str(work / 'disk').replace(',', ',,')},writable=on"],
        sandbox.Limits(),
    )  # fmt: skip
    await until(lambda: os.path.getsize(work / "disk"))
    await sandbox.kill(daemon)
    assert str(work).replace(" ", "\\040") in Path("/proc/self/mountinfo").read_text()
    await FileDisks(FileDisksOptions(state_dir=state)).inject(file_at(raw), FILES)
    nothing_runs(state)


async def test_a_missing_tool_is_named_with_its_package(
    disks: FileDisks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    raw = ext4(tmp_path / "raw", 4 * MIB)
    which = shutil.which
    for name, package in (("qemu-storage-daemon", "qemu-system-common"), ("debugfs", "e2fsprogs")):
        monkeypatch.setattr(shutil, "which", lambda n, path, gone=name: None if n == gone else which(n, path=path))
        with pytest.raises(DiskError, match=f"{name} is not installed: apt-get install {package}"):
            await disks.inject(file_at(raw), FILES)
    monkeypatch.undo()
    nothing_runs(state)
