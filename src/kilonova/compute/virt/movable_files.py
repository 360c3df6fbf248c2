"""Servers' directories that move: set aside under the move's name, copied on the same storage, packed for another host and
unpacked there. A directory appears whole or not at all.

STATE_DIR/instances/<server uuid>.<migration uuid>/   what was set aside
STATE_DIR/instances/.<server uuid>.new/               work in progress
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from math import inf
from pathlib import Path

from kilonova.compute.virt.disks import DiskStore
from kilonova.compute.virt.instance_dirs import InstanceDirs, as_uuid
from kilonova.compute.virt.packing import Begin, Blank, Data, End, Unpacker, packed
from kilonova.core.block import qemu_img
from kilonova.core.block.errors import DiskError
from kilonova.core.block.files import os_errors
from kilonova.core.block.sandbox import must_run
from kilonova.core.folders import searchable

PART = 1 << 20
FORMATS = {"disk": "qcow2", "disk.raw": "raw"}
"""Root disk → its format; other disks are raw."""
LOG_SIZE = 1 << 20  # bytes of a console's log that come along
KEPT = ("disk.config", "kernel", "ramdisk")
"""Files that a guest only reads, or read when it was started: copied as they are."""
NAME = re.compile(r"[a-z][a-z0-9._-]{0,63}")


class MovableFiles(DiskStore):
    """What `FileDisks` does for moves."""

    _dirs: InstanceDirs

    def _aside(self, server_uuid: str, migration: str) -> Path:
        return self._dirs.instances / f"{as_uuid(server_uuid, 'server')}.{as_uuid(migration, 'migration')}"

    async def set_aside(self, server_uuid: str, migration: str) -> None:
        here, aside = self._dirs.server(server_uuid), self._aside(server_uuid, migration)

        def rename() -> None:
            if not aside.exists():
                here.rename(aside)

        with os_errors(f"setting aside the disks of server {server_uuid}"):
            await asyncio.to_thread(rename)

    async def is_aside(self, server_uuid: str, migration: str) -> bool:
        return await asyncio.to_thread(self._aside(server_uuid, migration).exists)

    async def put_back(self, server_uuid: str, migration: str | None = None) -> None:
        here = self._dirs.server(server_uuid)

        def rename() -> None:
            if migration is None and here.exists():
                return
            found = [self._aside(server_uuid, migration)] if migration is not None else self._all_aside(server_uuid)
            for aside in found[:1]:
                if aside.exists():
                    with suppress(FileNotFoundError):
                        shutil.rmtree(here)
                    aside.rename(here)

        with os_errors(f"putting back the disks of server {server_uuid}"):
            await asyncio.to_thread(rename)

    def _all_aside(self, server_uuid: str) -> list[Path]:
        """The newest first; blocking."""
        found = list(self._dirs.instances.glob(f"{as_uuid(server_uuid, 'server')}.*"))
        return sorted(found, key=lambda path: path.stat().st_ctime, reverse=True)

    async def drop_aside(self, server_uuid: str, migration: str) -> None:
        await self._drop(server_uuid, [self._aside(server_uuid, migration)])

    async def discard(self, server_uuid: str, *, aside: str | None = None) -> None:
        here, gone = self._dirs.server(server_uuid), self._dirs.instances / f".{server_uuid}.gone"
        kept = self._aside(server_uuid, aside) if aside is not None else None

        def rename() -> None:
            """Another host may put back what is aside at any moment: what it was before or after is looked at afterwards."""
            with suppress(FileNotFoundError):
                shutil.rmtree(gone)
            here.rename(gone)
            if kept is not None and not kept.exists() and not here.exists():
                gone.rename(here)

        with os_errors(f"removing the disks of server {server_uuid}"), suppress(FileNotFoundError):
            await asyncio.to_thread(rename)
        await self._drop(server_uuid, [gone, self._new(server_uuid)])

    async def remove(self, server_uuid: str) -> None:
        await self.discard(server_uuid)
        await self._drop(server_uuid, await asyncio.to_thread(self._all_aside, server_uuid))

    @staticmethod
    async def _drop(server_uuid: str, directories: list[Path]) -> None:
        for directory in directories:
            with os_errors(f"removing the disks of server {server_uuid}"), suppress(FileNotFoundError):
                await asyncio.to_thread(shutil.rmtree, directory)

    def _new(self, server_uuid: str) -> Path:
        return self._dirs.instances / f".{as_uuid(server_uuid, 'server')}.new"

    async def take_aside(self, server_uuid: str, migration: str) -> bool:
        if await asyncio.to_thread(self._dirs.server(server_uuid).exists):
            return True
        aside, step = self._aside(server_uuid, migration), f"copying the disks of server {server_uuid}"
        if not await asyncio.to_thread(aside.exists):
            return False
        new = await self._fresh(server_uuid, step)
        with os_errors(step):
            files = await asyncio.to_thread(lambda: list(_files(aside)))
            for file in files:
                argv = ["cp", "--reflink=auto", "--sparse=always", str(file), str(new / file.name)]
                await must_run(argv, qemu_img.COPYING, step=step)
        await self._appear(server_uuid, new, step)
        return True

    async def pack(self, server_uuid: str, migration: str) -> AsyncIterator[bytes]:
        aside = self._aside(server_uuid, migration)
        with os_errors(f"reading the disks of server {server_uuid}"):
            for file in await asyncio.to_thread(lambda: list(_files(aside))):
                with file.open("rb") as given:
                    yield packed(Begin(name=file.name, size=os.fstat(given.fileno()).st_size))
                    parts = _parts(given.fileno())
                    while (part := await asyncio.to_thread(next, parts, None)) is not None:
                        yield packed(part)
        yield packed(End())

    async def pack_form(self, server_uuid: str) -> AsyncIterator[bytes]:
        """The console's log stays: the new host begins another, and this one follows when the guest is gone."""
        directory = self._dirs.server(server_uuid)
        with os_errors(f"reading the disks of server {server_uuid}"):
            for file in await asyncio.to_thread(lambda: list(_files(directory))):
                format = FORMATS.get(file.name, "raw")
                if file.name.startswith("disk") and file.name not in (*KEPT, "disk.rescue"):
                    size = (await qemu_img.info(file, format)).virtual_size
                    yield packed(Blank(name=file.name, format=format, size=size))
                elif file.name in KEPT:
                    with file.open("rb") as given:
                        yield packed(Begin(name=file.name, size=os.fstat(given.fileno()).st_size))
                        for part in await asyncio.to_thread(list, _parts(given.fileno())):
                            yield packed(part)
        yield packed(End())

    async def pack_log(self, server_uuid: str) -> AsyncIterator[bytes]:
        text = await asyncio.to_thread(shown, self.console_log(server_uuid), LOG_SIZE)
        if text:
            yield text

    async def take_log(self, server_uuid: str, stream: AsyncIterator[bytes]) -> None:
        here = self.console_log(server_uuid)
        before, new = here.with_name(f"{here.name}.0"), here.with_name(f".{here.name}.new")
        text = bytearray()
        async for part in stream:
            text += part[: LOG_SIZE - len(text)]

        def write() -> None:
            if not before.exists():
                new.write_bytes(text)
                new.chmod(0o600)
                new.replace(before)

        with os_errors(f"keeping the console's log of server {server_uuid}"):
            await asyncio.to_thread(write)

    async def unpack(self, server_uuid: str, stream: AsyncIterator[bytes], *, most: int | None = None) -> None:
        step = f"copying the disks of server {server_uuid}"
        if await asyncio.to_thread(self._dirs.server(server_uuid).exists):
            return
        new, unpacker = await self._fresh(server_uuid, step), Unpacker()
        descriptor, ended, left = -1, False, inf if most is None else most
        try:
            with os_errors(step):
                async for data in stream:
                    for item in unpacker.feed(data):
                        match item:
                            case Begin():
                                descriptor = _opened(new, item, descriptor)
                            case Blank():
                                await _blank(new, item, step)
                            case Data():
                                left -= len(item.data)
                                if left < 0:
                                    raise DiskError(
                                        f"{step}: the other host sends more than the {most} bytes of its flavor"
                                    )
                                await asyncio.to_thread(os.pwrite, descriptor, item.data, item.offset)
                            case End():
                                ended = True
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        if not ended:
            raise DiskError(f"{step}: the other host stopped in the middle")
        await self._appear(server_uuid, new, step)

    async def _fresh(self, server_uuid: str, step: str) -> Path:
        """An empty directory of our own."""
        new = self._new(server_uuid)

        def make() -> None:
            self._dirs.make()
            with suppress(FileNotFoundError):
                shutil.rmtree(new)
            searchable(new)

        with os_errors(step):
            await asyncio.to_thread(make)
        return new

    async def _appear(self, server_uuid: str, new: Path, step: str) -> None:
        def rename() -> None:
            for file in _files(new):
                self._dirs.hand_over(file)
            new.rename(self._dirs.server(server_uuid))

        with os_errors(step):
            await asyncio.to_thread(rename)


def shown(log: Path, most: int) -> bytes:
    """The end of what a console has shown, with what was shown before its log was begun anew; blocking."""
    found = b""
    for file in (log.with_name(f"{log.name}.0"), log):
        with suppress(FileNotFoundError):
            found += file.read_bytes()
    return found[-most:]


def _files(directory: Path) -> Iterator[Path]:
    """Those that are the server's; blocking."""
    for file in sorted(directory.iterdir()):
        if NAME.fullmatch(file.name) and file.is_file() and not file.is_symlink():
            yield file


def _parts(descriptor: int) -> Iterator[Data]:
    """What is not a hole; blocking."""
    end, at = os.fstat(descriptor).st_size, 0
    while at < end:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        until = os.lseek(descriptor, at, os.SEEK_HOLE)
        while at < until:
            data = os.pread(descriptor, min(PART, until - at), at)
            if not data:
                return
            yield Data(offset=at, data=data)
            at += len(data)


async def _blank(directory: Path, disk: Blank, step: str) -> None:
    if not NAME.fullmatch(disk.name) or disk.format not in FORMATS.values() or disk.size < 0:
        raise DiskError(f"copying disks: {disk.name!r} is not the name of a server's disk")
    await qemu_img.create_empty(directory / disk.name, disk.format, disk.size, step=step)


def _opened(directory: Path, file: Begin, before: int) -> int:
    if before >= 0:
        os.close(before)
    if not NAME.fullmatch(file.name):
        raise DiskError(f"copying disks: {file.name!r} is not the name of a server's file")
    descriptor = os.open(directory / file.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    os.ftruncate(descriptor, file.size)
    return descriptor
