"""Base images: one download, checked; hostile, broken and oversized ones leave nothing behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.compute.virt.disks import BaseImage
from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions
from kilonova.compute.virt.image_cache import file_lock
from kilonova.core.block.errors import DiskError, DiskFull, ImageRefused
from tests.eventually import until

from .support import MIB, Download, image, qcow2, tool

RAW = os.urandom(3 * MIB) + bytes(2 * MIB) + b"end"


def left_behind(state: Path) -> set[str]:
    return {entry.name for entry in (state / "_base").iterdir()} - {".locks"}


async def refuse(disks: FileDisks, state: Path, data: bytes, match: str, disk_format: str, **changes: object) -> None:
    with pytest.raises(ImageRefused, match=match):
        await disks.fetch(image(data, disk_format, **changes), Download(data))
    assert left_behind(state) == set()


async def test_raw_is_kept_whole_and_sparse(disks: FileDisks, state: Path) -> None:
    source = image(RAW)
    base = await disks.fetch(source, Download(RAW, chunk=100_001))
    assert base == BaseImage(path=state / "_base" / source.id, format="raw", virtual_size=len(RAW))
    assert base.path.read_bytes() == RAW
    assert base.path.stat().st_blocks * 512 < len(RAW) - MIB
    assert left_behind(state) == {source.id, f"{source.id}.json"}


async def test_qcow2_stays_qcow2(disks: FileDisks, tmp_path: Path) -> None:
    for version in ("0.10", "1.1"):
        data = qcow2(tmp_path / "i.qcow2", "-o", f"compat={version}")
        base = await disks.fetch(image(data, "qcow2"), Download(data))
        assert (base.format, base.virtual_size) == ("qcow2", 10 * MIB)


@pytest.mark.parametrize("disk_format", ["ami", "aki", "ari"])
async def test_amazon_parts_are_raw(disks: FileDisks, disk_format: str) -> None:
    data = bytes(510) + b"\x55\xaa" + bytes(5000)  # a kernel carries a boot sector's signature
    assert (await disks.fetch(image(data, disk_format), Download(data))).format == "raw"


async def test_iso_is_used_as_raw(disks: FileDisks, server: str) -> None:
    iso = (await disks.config_drive(server, {"a": b"b"})).path.read_bytes()
    assert (await disks.fetch(image(iso, "iso"), Download(iso))).format == "raw"


async def test_downloads_once_however_many_ask(disks: FileDisks) -> None:
    source, download = image(RAW), Download(RAW, pause=0.001)
    bases = await asyncio.gather(*(disks.fetch(source, download) for _ in range(20)))
    assert len(set(map(str, bases))) == 1
    assert download.opened == 1
    await disks.fetch(source, download)
    assert download.opened == 1


async def test_a_caller_that_gives_up_does_not_stop_the_others(disks: FileDisks) -> None:
    source, download = image(RAW), Download(RAW, pause=0.002)
    first = asyncio.create_task(disks.fetch(source, download))
    second = asyncio.create_task(disks.fetch(source, download))
    await until(lambda: download.opened, pause=0)
    first.cancel()
    assert (await second).virtual_size == len(RAW)
    assert first.cancelled()
    assert download.opened == 1


async def test_the_download_ends_when_all_give_up(disks: FileDisks, state: Path) -> None:
    source, download = image(RAW), Download(RAW, pause=0.01)
    tasks = [asyncio.create_task(disks.fetch(source, download)) for _ in range(2)]
    await until(lambda: download.opened, pause=0)
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert left_behind(state) == set()
    assert (download.opened, download.closed) == (1, 1)
    assert (await disks.fetch(source, Download(RAW))).virtual_size == len(RAW)


async def test_a_broken_download_is_named_and_can_be_repeated(disks: FileDisks, state: Path) -> None:
    source = image(RAW)
    with pytest.raises(DiskError, match=f"fetching image {source.id}: Connection reset"):
        await disks.fetch(source, Download(RAW, fail_at=2 * MIB))
    assert left_behind(state) == set()
    assert (await disks.fetch(source, Download(RAW))).virtual_size == len(RAW)


async def test_a_restart_reuses_the_image(disks: FileDisks, state: Path) -> None:
    source = image(RAW)
    base = await disks.fetch(source, Download(RAW))
    again = Download(RAW)
    assert await FileDisks(FileDisksOptions(state_dir=state)).fetch(source, again) == base
    assert again.opened == 0


async def test_leftovers_of_a_crash_are_removed_and_never_used(disks: FileDisks, state: Path) -> None:
    source, other = image(RAW), image(b"x")
    base = state / "_base"
    base.mkdir(parents=True)
    (base / f".{source.id}.part").write_bytes(RAW[:100])
    (base / f".{other.id}.part").write_bytes(b"y")
    (base / f".{other.id}.json.part").write_bytes(b"{")
    (base / source.id).write_bytes(RAW[:200])  # no sidecar: never checked
    assert (await disks.fetch(source, Download(RAW))).path.read_bytes() == RAW
    assert left_behind(state) == {source.id, f"{source.id}.json"}


async def test_another_process_is_waited_for(disks: FileDisks, state: Path) -> None:
    source, download = image(RAW), Download(RAW)
    lock = state / "_base" / ".locks" / source.id
    lock.parent.mkdir(parents=True)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.flock(f,2); print(1,flush=True); "
         "sys.stdin.read()", lock], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    assert holder.stdout is not None
    holder.stdout.readline()
    waiting = asyncio.create_task(disks.fetch(source, download))
    await asyncio.sleep(0.2)
    assert download.opened == 0
    holder.communicate()
    assert (await waiting).virtual_size == len(RAW)


async def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    order = []

    async def hold(name: str) -> None:
        async with file_lock(tmp_path / "lock"):
            order.append(name)
            await asyncio.sleep(0.1)
            order.append(name)

    await asyncio.gather(hold("a"), hold("b"))
    assert order in (list("aabb"), list("bbaa"))


async def test_hashing_leaves_the_event_loop_free(disks: FileDisks, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = set()
    new = hashlib.new

    class Watched:
        def __init__(self, *args: object, **named: object) -> None:
            self.inner = new("sha512")

        def update(self, data: bytes) -> None:
            threads.add(threading.current_thread())
            self.inner.update(data)

        def hexdigest(self) -> str:
            return self.inner.hexdigest()

    source = image(RAW)
    monkeypatch.setattr(hashlib, "new", Watched)
    await disks.fetch(source, Download(RAW))
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"hash_value": "0" * 128}, "sha512 is .* its record says 0000"),
        ({"size": len(RAW) + 1}, "bytes arrived, its record says"),
        ({"size": 5}, "more than the 5 bytes"),
        ({"hash_algo": "rot13"}, "unknown hash algorithm rot13"),
        ({"disk_format": "vmdk"}, "disk format vmdk is not supported by this host"),
        ({"disk_format": "qcow2"}, "declared as qcow2, but its content is raw"),
        ({"disk_format": "iso"}, "declared as iso, but its content is raw"),
    ],
)
async def test_what_differs_from_the_record_is_refused(
    disks: FileDisks, state: Path, changes: dict[str, object], match: str
) -> None:
    await refuse(disks, state, RAW, match, **{"disk_format": "raw", **changes})  # type: ignore[arg-type]


async def test_an_empty_image_is_refused(disks: FileDisks, state: Path) -> None:
    await refuse(disks, state, b"", "it is empty", "raw")


async def test_a_hostile_qcow2_is_refused(disks: FileDisks, state: Path, tmp_path: Path) -> None:
    plain = qcow2(tmp_path / "plain")
    await refuse(disks, state, plain, "declared as raw, but its content is qcow2", "raw")

    backed = qcow2(tmp_path / "backed", "-F", "raw", "-b", "/etc/shadow")
    await refuse(disks, state, backed, "backing file", "qcow2")

    data_file = qcow2(tmp_path / "df", "-o", f"data_file={tmp_path / 'data'},data_file_raw=on")
    await refuse(disks, state, data_file, "data_file", "qcow2")

    unknown = bytearray(plain)
    unknown[72] = 0x80
    await refuse(disks, state, bytes(unknown), "Unknown QCOW2 features", "qcow2")

    for length in (300, 1000, 100_000):
        await refuse(disks, state, plain[:length], "truncated|content is raw", "qcow2")

    both = bytearray(plain)
    both[510:512] = b"\x55\xaa"
    await refuse(disks, state, bytes(both), "Multiple formats|content is", "qcow2")

    huge_tables = bytearray(plain)
    huge_tables[36:40] = struct.pack(">I", 0xFFFFFFFF)  # entries of the first table
    with pytest.raises(DiskError):
        await disks.fetch(image(bytes(huge_tables), "qcow2"), Download(bytes(huge_tables)))
    assert left_behind(state) == set()


@pytest.mark.parametrize("image_id", ["../../etc/passwd", "x", "", "/etc/passwd", "a" * 31])
async def test_an_image_id_is_a_uuid(disks: FileDisks, image_id: str) -> None:
    with pytest.raises(DiskError, match="is not a UUID"):
        await disks.fetch(image(RAW, id=image_id), Download(RAW))


async def test_the_record_of_a_cached_image_may_not_change(disks: FileDisks) -> None:
    source = image(RAW)
    await disks.fetch(source, Download(RAW))
    other = image(RAW, id=source.id, hash_value="1" * 128)
    with pytest.raises(ImageRefused, match="its checksum changed"):
        await disks.fetch(other, Download(RAW))


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    try:
        tool("mount", "-t", "tmpfs", "-o", "size=2m", "tiny", place)
    except (subprocess.CalledProcessError, PermissionError):
        pytest.skip("mounting a tmpfs needs root")
    yield place
    tool("umount", place)


async def test_a_full_disk_is_reported_and_no_file_is_left(tiny: Path, server: str) -> None:
    disks = FileDisks(FileDisksOptions(state_dir=tiny, raw_disks=True))
    with pytest.raises(DiskFull, match="No space left on device"):
        await disks.fetch(image(RAW), Download(RAW))
    assert left_behind(tiny) == set()
    half = os.urandom(MIB + MIB // 2)
    base = await disks.fetch(image(half), Download(half))
    with pytest.raises(DiskFull, match=f"root disk of server {server}.*No space left"):
        await disks.overlay(server, base, size_gb=0)
    assert list((tiny / "instances" / server).iterdir()) == []
    with pytest.raises(DiskFull, match="config drive"):
        await disks.config_drive(server, {"a": half})
    assert list((tiny / "instances" / server).iterdir()) == []
