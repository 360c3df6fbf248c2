"""A guest's disk as a plain file: qemu-storage-daemon exports it through FUSE, so nothing is mounted on the host."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from kilonova.core.block.errors import DiskError
from kilonova.core.block.sandbox import Limits, drain, kill, run, spawn, to_the_end
from kilonova.core.subprocesses import Program

DAEMON = Limits(cpu_seconds=120, address_space=2 << 30)
START_TIMEOUT = 20.0
STOP_TIMEOUT = 20.0
POLL = 0.004


@asynccontextmanager
async def exported(disk: Path, format: str, work: Path, *, writable: bool) -> AsyncIterator[Path]:
    """The disk's content as a file inside `work` (an empty directory of ours), until the block ends."""
    _must_have_fuse()
    target, pidfile = work / "disk", work / "pid"
    target.touch(mode=0o600)
    nodes = [
        {"driver": "file", "node-name": "file", "filename": str(disk), "read-only": not writable},
        {"driver": format, "node-name": "disk", "file": "file", "read-only": not writable},
    ]
    export = {"type": "fuse", "id": "export", "node-name": "disk", "mountpoint": str(target), "writable": writable,
              "allow-other": "off"}  # fmt: skip
    argv = ["qemu-storage-daemon", "--pidfile", str(pidfile)]
    for node in nodes:
        argv += ["--blockdev", msgspec.json.encode(node).decode()]
    argv += ["--export", msgspec.json.encode(export).decode()]
    daemon = await spawn(argv, DAEMON, die_with_us=True)
    words = asyncio.create_task(drain(daemon))
    try:
        await _ready(daemon, words, pidfile, disk)
        yield target
    finally:
        await to_the_end(_stop(daemon, words, target))


async def _ready(daemon: Program, words: asyncio.Task[tuple[bytes, bytes]], pidfile: Path, disk: Path) -> None:
    """The daemon writes its pid file after its exports are up."""
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while not _written(pidfile):
                if words.done():  # both outputs closed: it ended
                    reason = words.result()[1].decode("utf-8", "replace").strip() or "it ended without a word"
                    raise DiskError(f"opening {disk}: qemu-storage-daemon: {reason}")
                await asyncio.sleep(POLL)
    except TimeoutError as error:
        raise DiskError(f"opening {disk}: qemu-storage-daemon was not ready after {START_TIMEOUT:g} s") from error


async def _stop(daemon: Program, words: asyncio.Task[tuple[bytes, bytes]], target: Path) -> None:
    """End the daemon, which flushes and unmounts; by force when it does not obey."""
    daemon.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await daemon.wait()
    except TimeoutError:
        await kill(daemon)
    await asyncio.gather(words, return_exceptions=True)
    await unmount(target)


async def unmount(target: Path) -> None:
    """Remove a FUSE mount that a dead daemon left; nothing happens when there is none."""
    if not await asyncio.to_thread(_mounted, target):
        return
    argv = ["umount", "-l", str(target)] if os.geteuid() == 0 else ["fusermount3", "-u", "-z", str(target)]
    await run(argv, Limits())


def _mounted(target: Path) -> bool:
    try:
        return target.stat().st_dev != target.parent.stat().st_dev
    except FileNotFoundError:
        return False
    except OSError:  # "Transport endpoint is not connected"
        return True


def _written(pidfile: Path) -> bool:
    return pidfile.exists() and pidfile.stat().st_size > 0


def _must_have_fuse() -> None:
    if not Path("/dev/fuse").exists():
        raise DiskError("no /dev/fuse on this host: modprobe fuse; apt-get install fuse3")
