"""Folders and files of disks: errors in words, locks, and whether the hypervisor's user gets there."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from kilonova.core.block.errors import DiskError, DiskFull


@contextmanager
def os_errors(step: str) -> Iterator[None]:
    """OSError as DiskFull or DiskError, with the step in front."""
    try:
        yield
    except OSError as error:
        kind = DiskFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else DiskError
        raise kind(f"{step}: {error.strerror or error}") from error


class KeyedLocks:
    """One asyncio lock for each key in use."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def __getitem__(self, key: str) -> asyncio.Lock:
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock


def must_reach(directory: Path, owner: str) -> None:
    """Raise DiskError with advice when `owner` may not search `directory` or one of its parents."""
    try:
        entry = pwd.getpwnam(owner)
    except KeyError as error:
        raise DiskError(f"no user {owner} on this host: install the hypervisor or set the disks' owner") from error
    if entry.pw_uid == 0:
        return
    groups = os.getgrouplist(owner, entry.pw_gid)
    for place in (directory, *directory.parents):
        status = place.stat()
        bit = 0o100 if status.st_uid == entry.pw_uid else 0o010 if status.st_gid in groups else 0o001
        if not status.st_mode & bit:
            raise DiskError(f"{owner} may not enter {place}: chmod o+x {place}, or choose another state directory")
