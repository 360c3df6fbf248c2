"""A copy of a volume's bytes as they are at one moment, though a guest may be writing.

Where the file system can share blocks, at once. Elsewhere all data are copied: by the export's daemon, which keeps apart what is
written meanwhile, or, of a volume that is not exported, by `cp`."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from pathlib import Path
from typing import Any

from kilonova.core.block.errors import DiskError, DiskFull
from kilonova.core.block.qmp import QmpError
from kilonova.core.block.sandbox import NO_ROOM, Limits, must_run
from kilonova.core.block.storage_daemon import NODE, StorageDaemon
from kilonova.core.clock import SYSTEM

FICLONE = 0x40049409  # ioctl of Linux: share the blocks of another file
COPYING = Limits(cpu_seconds=3600, timeout=3600.0)
LOOK_AGAIN = 0.1  # seconds


async def copy(source: Path, target: Path, daemon: StorageDaemon | None, *, step: str) -> None:
    """Raises DiskError or DiskFull, whose text begins with `step`. `target` does not exist."""
    if await asyncio.to_thread(_shared, source, target):
        return
    if daemon is not None and await asyncio.to_thread(daemon.pid) is not None:
        await _backup(daemon, source, target, step)
    else:
        await must_run(["cp", "--sparse=always", str(source), str(target)], COPYING, step=step)


def _shared(source: Path, target: Path) -> bool:
    """Whether `target` has the blocks of `source` now; written through the kernel, which orders it with all writes."""
    with source.open("rb") as given, target.open("xb") as made:
        try:
            fcntl.ioctl(made, FICLONE, given.fileno())
            return True
        except OSError:
            pass
    target.unlink()
    return False


async def _backup(daemon: StorageDaemon, source: Path, target: Path, step: str) -> None:
    name = f"to-{SYSTEM.hex_id()[:24]}"  # QEMU allows 31 characters
    await asyncio.to_thread(_empty_like, source, target)
    node = {"driver": "file", "node-name": name, "filename": str(target), "discard": "unmap", "detect-zeroes": "unmap"}
    try:
        async with daemon.orders() as orders:
            await orders.do("blockdev-add", **node)
            await orders.do("blockdev-backup", job_id=name, device=NODE, target=name, sync="full", auto_dismiss=False)
        if reason := (await _ended(daemon, name)).get("error"):
            raise (DiskFull if reason in NO_ROOM else DiskError)(f"{step}: {reason}")
    except QmpError as error:
        raise DiskError(f"{step}: {error}") from error
    finally:
        await _forget(daemon, name)


def _empty_like(source: Path, target: Path) -> None:
    with target.open("xb") as made:
        made.truncate(source.stat().st_size)


async def _ended(daemon: StorageDaemon, name: str) -> dict[str, Any]:
    """The job, at its end; its monitor is asked, as events go to a connection that others would have to wait for."""
    while True:
        job = await _job(daemon, name)
        if job["status"] == "concluded":
            return job
        await asyncio.sleep(LOOK_AGAIN)


async def _job(daemon: StorageDaemon, name: str) -> dict[str, Any]:
    async with daemon.orders() as orders:
        for job in await orders.do("query-jobs"):
            if job["id"] == name:
                return dict(job)
    raise QmpError(f"job {name} of {daemon.folder.name} is gone")


async def _forget(daemon: StorageDaemon, name: str) -> None:
    """The job and its target are gone from the daemon, if it runs."""
    with contextlib.suppress(QmpError, TimeoutError):
        async with daemon.orders() as orders:
            with contextlib.suppress(QmpError):
                await orders.do("job-cancel", id=name)
        async with asyncio.timeout(10):
            await _ended(daemon, name)
    with contextlib.suppress(QmpError):
        async with daemon.orders() as orders:
            with contextlib.suppress(QmpError):
                await orders.do("job-dismiss", id=name)
            await orders.do("blockdev-del", node_name=name)
