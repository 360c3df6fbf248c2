"""A server's own files: overlays, blank disks, kernels, their owner, their removal."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from msgspec.structs import astuple

from kilonova.compute.virt.disks import BaseImage
from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions
from kilonova.core.block import qemu_img
from kilonova.core.block.errors import DiskError
from kilonova.core.block.sandbox import Limits, must_run, run
from tests.eventually import until

from .support import GIB, MIB, Download, image, qcow2, tool


async def fetched(disks: FileDisks, data: bytes, disk_format: str = "raw") -> BaseImage:
    return await disks.fetch(image(data, disk_format), Download(data))


def info(path: Path, format: str = "qcow2") -> dict[str, object]:
    found: dict[str, object] = json.loads(tool("qemu-img", "info", "--output=json", "-f", format, path))
    return found


async def test_overlay_on_raw_and_qcow2(disks: FileDisks, state: Path, tmp_path: Path) -> None:
    for data, kind in ((os.urandom(MIB), "raw"), (qcow2(tmp_path / "q"), "qcow2")):
        base = await fetched(disks, data, kind)
        server = str(uuid.uuid4())
        disk, format = astuple(await disks.overlay(server, base, size_gb=3))
        assert (disk, format) == (state / "instances" / server / "disk", "qcow2")
        found = info(disk)
        assert found["virtual-size"] == 3 * GIB
        assert found["backing-filename"] == str(base.path)
        assert found["backing-filename-format"] == kind
        assert [entry.name for entry in disk.parent.iterdir()] == ["disk"]


async def test_overlay_without_a_size_is_as_large_as_the_image(disks: FileDisks, server: str, tmp_path: Path) -> None:
    base = await fetched(disks, qcow2(tmp_path / "q", size="7M"), "qcow2")
    disk = (await disks.overlay(server, base, size_gb=0)).path
    assert info(disk)["virtual-size"] == 7 * MIB


async def test_overlay_smaller_than_the_image_is_refused(disks: FileDisks, server: str, tmp_path: Path) -> None:
    base = await fetched(disks, qcow2(tmp_path / "q", size="2G"), "qcow2")
    with pytest.raises(DiskError, match=rf"1 GiB \({GIB} bytes\) is less than the {2 * GIB} bytes"):
        await disks.overlay(server, base, size_gb=1)


async def test_overlay_can_be_repeated_and_grows(disks: FileDisks, server: str) -> None:
    base = await fetched(disks, os.urandom(MIB))
    disk = (await disks.overlay(server, base, size_gb=1)).path
    inode = disk.stat().st_ino
    await asyncio.gather(*(disks.overlay(server, base, size_gb=1) for _ in range(5)))
    assert disk.stat().st_ino == inode
    await disks.overlay(server, base, size_gb=2)
    assert (disk.stat().st_ino, info(disk)["virtual-size"]) == (inode, 2 * GIB)
    await disks.overlay(server, base, size_gb=0)  # never shrinks
    assert info(disk)["virtual-size"] == 2 * GIB
    other = await fetched(disks, os.urandom(MIB))
    with pytest.raises(DiskError, match=f"already, on {base.path}"):
        await disks.overlay(server, other, size_gb=2)


async def test_a_backing_file_that_is_missing_is_fetched_again(disks: FileDisks, state: Path, server: str) -> None:
    """At the guest's next start; what it wrote is kept."""
    content = os.urandom(MIB)
    source = image(content)
    base = await disks.fetch(source, Download(content))
    disk = (await disks.overlay(server, base, size_gb=0)).path
    tool("qemu-io", "-f", "qcow2", "-c", "write -P 7 4096 512", disk)
    for left in (base.path, base.path.with_suffix(".json")):
        left.unlink()
    again = await disks.fetch(source, Download(content))
    assert (again, (await disks.overlay(server, again, size_gb=0)).path) == (base, disk)
    tool("qemu-io", "-f", "qcow2", "-c", "read -P 7 4096 512", disk)
    assert base.path.read_bytes() == content


async def test_half_an_overlay_of_a_crash_is_never_used(disks: FileDisks, state: Path, server: str) -> None:
    base = await fetched(disks, os.urandom(MIB))
    directory = state / "instances" / server
    directory.mkdir()
    (directory / ".disk.tmp").write_bytes(b"half")
    disk = (await disks.overlay(server, base, size_gb=1)).path
    assert info(disk)["virtual-size"] == GIB
    assert [entry.name for entry in directory.iterdir()] == ["disk"]


async def test_overlay_time_does_not_depend_on_the_image(disks: FileDisks, tmp_path: Path) -> None:
    small = await fetched(disks, qcow2(tmp_path / "s", size="1M"), "qcow2")
    large = await fetched(disks, qcow2(tmp_path / "l", size="2T"), "qcow2")
    took: dict[Path, list[float]] = {small.path: [], large.path: []}
    for base in (small, large) * 5:
        began = time.monotonic()
        await disks.overlay(str(uuid.uuid4()), base, size_gb=0)
        took[base.path].append(time.monotonic() - began)
    assert min(took[large.path]) < min(took[small.path]) * 5 + 0.2  # the least of each: delays do not count


async def test_raw_disks(state: Path, tmp_path: Path) -> None:
    disks = FileDisks(FileDisksOptions(state_dir=state, raw_disks=True))
    content = os.urandom(MIB)
    (tmp_path / "c").write_bytes(content)
    tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", tmp_path / "c", tmp_path / "q")
    for data, kind in ((content, "raw"), ((tmp_path / "q").read_bytes(), "qcow2")):
        base = await fetched(disks, data, kind)
        disk, format = astuple(await disks.overlay(str(uuid.uuid4()), base, size_gb=1))
        assert format == "raw"
        assert disk.stat().st_size == GIB
        assert disk.stat().st_blocks * 512 < 4 * MIB
        with disk.open("rb") as file:
            assert file.read(MIB + 1) == content + b"\0"


@pytest.mark.parametrize(("filesystem", "kind"), [("ext4", "ext4"), ("ext3", "ext3"), ("swap", "swap"), (None, None)])
async def test_blank(disks: FileDisks, server: str, filesystem: str | None, kind: str | None) -> None:
    disk, format = astuple(await disks.blank(server, "ephemeral0", size_gb=0.25, filesystem=filesystem))
    assert (disk.name, format, disk.stat().st_size) == ("disk.ephemeral0", "raw", GIB // 4)
    with disk.open("rb") as file:
        head = file.read(4096)
    if kind == "swap":
        assert head[-10:] == b"SWAPSPACE2"
    elif kind:
        assert head[1080:1082] == b"\x53\xef"
        assert "ephemeral0" in tool("dumpe2fs", "-h", disk)
    else:
        assert head == bytes(4096)
    with disk.open("r+b") as file:
        file.write(b"guest was here")
    await disks.blank(server, "ephemeral0", size_gb=0.25, filesystem=filesystem)
    assert disk.read_bytes()[:14] == b"guest was here"


async def test_names_of_disks_are_checked(disks: FileDisks, server: str) -> None:
    assert (await disks.blank(server, "disk.eph0", size_gb=0.01, filesystem=None)).path.name == "disk.eph0"
    for name in ("../x", "", "A", "a/b", "a" * 40, "config", "disk.config", "disk.raw", "disk.", "disk.a.b"):
        with pytest.raises(DiskError, match="not a disk's name"):
            await disks.blank(server, name, size_gb=1, filesystem=None)
    with pytest.raises(DiskError, match="can't make a zfs"):
        await disks.blank(server, "ephemeral0", size_gb=1, filesystem="zfs")
    with pytest.raises(DiskError, match="kernel or a ramdisk"):
        await disks.kernel(server, "../kernel", await fetched(disks, b"k" * 600, "aki"))


async def test_kernel_is_the_images_bytes(disks: FileDisks, server: str, tmp_path: Path) -> None:
    base = await fetched(disks, b"k" * 600, "aki")
    for _ in range(2):
        path = await disks.kernel(server, "kernel", base)
    assert path.read_bytes() == b"k" * 600
    newer = await fetched(disks, b"n" * 600, "aki")
    assert (await disks.kernel(server, "kernel", newer)).read_bytes() == b"n" * 600
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["kernel"]
    with pytest.raises(DiskError, match="is qcow2, not raw"):
        await disks.kernel(server, "kernel", await fetched(disks, qcow2(tmp_path / "q"), "qcow2"))


async def test_kernels_of_servers_are_files_of_their_own(disks: FileDisks, state: Path) -> None:
    """Also where an earlier release made them hard links: the next start of the guest mends that."""
    base = await fetched(disks, os.urandom(3 * MIB + 17), "aki")
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    old = state / "instances" / one / "kernel"
    old.parent.mkdir()
    os.link(base.path, old)
    (old.parent / ".kernel.tmp").write_bytes(b"half")  # of a crash
    before = base.path.stat()
    made = [await disks.kernel(server, "kernel", base) for server in (one, other)]
    inodes = {path.stat().st_ino for path in (base.path, *made)}
    assert len(inodes) == 3
    assert {path.stat().st_nlink for path in (base.path, *made)} == {1}
    assert {path.read_bytes() for path in made} == {base.path.read_bytes()}
    after = base.path.stat()
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert [entry.name for entry in old.parent.iterdir()] == ["kernel"]


async def test_a_server_keeps_its_disk_when_the_setting_changes(state: Path) -> None:
    base = None
    for first in (False, True):
        made = FileDisks(FileDisksOptions(state_dir=state, raw_disks=first))
        base = base or await fetched(made, os.urandom(MIB))
        server = str(uuid.uuid4())
        disk = await made.overlay(server, base, size_gb=1)
        assert disk.format == ("raw" if first else "qcow2")
        with disk.path.open("r+b") as file:  # a guest may write anything into a raw disk
            if first:
                file.write(b"QFI\xfb\0\0\0\3")
        changed = FileDisks(FileDisksOptions(state_dir=state, raw_disks=not first))
        assert await changed.overlay(server, base, size_gb=2) == disk
        assert info(disk.path, disk.format)["virtual-size"] == 2 * GIB
        assert await changed.present(server)
        assert len(list(disk.path.parent.glob("disk*"))) == 1


async def test_servers_and_remove(disks: FileDisks, state: Path) -> None:
    assert await disks.servers() == set()
    base = await fetched(disks, b"x" * 600)
    names = {str(uuid.uuid4()) for _ in range(3)}
    for name in names:
        await disks.overlay(name, base, size_gb=1)
    (state / "instances" / "lost+found").mkdir()
    assert await disks.servers() == names
    gone = names.pop()
    disks.console_log(gone).write_text("log")
    await disks.remove(gone)
    await disks.remove(gone)
    assert await disks.servers() == names
    for hostile in ("..", "../_base", "", "lost+found"):
        with pytest.raises(DiskError, match="is not a UUID"):
            await disks.remove(hostile)
    assert base.path.exists()


async def test_hosts_that_share_storage_know_it(disks: FileDisks, state: Path, tmp_path: Path, server: str) -> None:
    assert await disks.storage() == ""
    await disks.overlay(server, await fetched(disks, b"x" * 600), size_gb=1)
    shared = await disks.storage()
    assert shared
    other = FileDisks(FileDisksOptions(state_dir=state))
    alone = FileDisks(FileDisksOptions(state_dir=tmp_path / "alone"))
    await alone.overlay(server, await fetched(alone, b"x" * 600), size_gb=1)
    assert await other.storage() == shared
    assert await alone.storage() not in ("", shared)
    assert await disks.servers() == {server}


async def test_the_hypervisors_user_can_use_the_files(server: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("changing owners needs root")
    nobody = pwd.getpwnam("nobody")
    root = Path(f"/var/tmp/kilonova-test-{server}")
    try:
        disks = FileDisks(FileDisksOptions(state_dir=root / "state", owner="nobody"))
        base = await fetched(disks, b"x" * 600)
        disk = (await disks.overlay(server, base, size_gb=1)).path
        kernel = await disks.kernel(server, "kernel", base)
        drive = (await disks.config_drive(server, {"a": b"secret"})).path
        for path in (base.path, disk, kernel, drive):
            assert path.stat().st_uid == nobody.pw_uid
            assert path.stat().st_mode & 0o007 == 0
        argv = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "qemu-img", "info", str(disk)]
        assert subprocess.run(argv, capture_output=True).returncode == 0
        root.chmod(0o700)
        closed = FileDisks(FileDisksOptions(state_dir=root / "state", owner="nobody"))
        with pytest.raises(DiskError, match=f"nobody may not enter {root}: chmod o\\+x {root}"):
            await closed.overlay(server, base, size_gb=1)
        with pytest.raises(DiskError, match="no user nosuchuser"):
            await FileDisks(FileDisksOptions(state_dir=root, owner="nosuchuser")).overlay(server, base, size_gb=1)
    finally:
        tool("rm", "-rf", root)


async def test_tools_run_under_limits() -> None:
    found = await run(["cat", "/proc/self/limits"], Limits(address_space=1 << 30, cpu_seconds=7, file_size=4096))
    limits = found.stdout.decode()
    assert "Max address space         1073741824" in limits
    assert "Max cpu time              7 " in limits
    assert "Max file size             4096" in limits
    with pytest.raises(DiskError, match=r"sleep took longer than 0\.1 s"):
        await run(["sleep", "5"], Limits(timeout=0.1))
    with pytest.raises(DiskError, match="nosuchtool is not installed: apt-get install nosuchtool"):
        await run(["nosuchtool"], Limits())
    grab = ["python3", "-c", "x = bytearray(2 << 30)"]
    with pytest.raises(DiskError, match="grabbing: python3: MemoryError"):
        await must_run(grab, Limits(), step="grabbing")


async def test_a_tool_may_have_many_threads() -> None:
    """qemu-img has one for each access that a slow disk has not done yet, 64 at most."""
    many = "import threading, time\n" \
        "def work():\n    bytearray(1 << 20)\n    time.sleep(0.2)\n" \
        "every = [threading.Thread(target=work) for _ in range(80)]\n" \
        "[one.start() for one in every]\n[one.join() for one in every]\nprint(len(every))\n"  # fmt: skip
    done = await run(["python3", "-c", many], Limits())
    assert (done.stdout, done.stderr) == (b"80\n", "")


async def test_a_cancelled_tool_is_ended() -> None:
    seconds = f"98.{os.getpid()}"  # no other process on this machine has it
    task = asyncio.create_task(run(["sleep", seconds], Limits()))
    look = ["pgrep", "-f", f"sleep {seconds}$"]
    await until(lambda: subprocess.run(look, capture_output=True).returncode == 0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert subprocess.run(look, capture_output=True).returncode == 1


async def test_info_names_what_it_could_not_read(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="reading missing: qemu-img"):
        await qemu_img.info(tmp_path / "missing", "qcow2")
