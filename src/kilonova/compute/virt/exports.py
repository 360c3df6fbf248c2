"""A server's root disk as one file that needs no other, for the image service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from kilonova.compute.virt.block import FileSource
from kilonova.compute.virt.disks import Export
from kilonova.compute.virt.instance_dirs import InstanceDirs
from kilonova.core.block import qemu_img
from kilonova.core.block.files import os_errors

COPY, IMAGE = "snapshot.copy", "snapshot.image"
COPY_FORMAT = "qcow2"
PIECE = 1 << 20


class Exports:
    """Beside each server's disks: the copy that a hypervisor made of a running guest's disk, and the finished image."""

    def __init__(self, dirs: InstanceDirs) -> None:
        self._dirs = dirs

    async def copy_target(self, server_uuid: str, root: FileSource) -> tuple[FileSource, FileSource]:
        """(the root disk, an empty disk of its size)."""
        step = f"copy of the disk of server {server_uuid}"
        size = (await qemu_img.info(root.path, root.format)).virtual_size
        async with self._dirs.making(server_uuid, COPY, step) as (final, temporary):
            await qemu_img.create_empty(temporary, COPY_FORMAT, size, step=step)
        return root, FileSource(path=final, format=COPY_FORMAT)

    async def export(self, server_uuid: str, root: FileSource, disk_format: str) -> Export:
        """See `DiskStore.export`."""
        copy = self._dirs.server(server_uuid) / COPY
        copied = await asyncio.to_thread(copy.exists)
        source = FileSource(path=copy, format=COPY_FORMAT) if copied else root
        step = f"image of the disk of server {server_uuid}"

        async def make(target: Path) -> None:
            if copied and disk_format == COPY_FORMAT:
                copy.replace(target)
            else:
                await qemu_img.convert(source.path, source.format, target, disk_format, step=step)
                copy.unlink(missing_ok=True)

        return await self.made(server_uuid, step, make)

    async def made(self, server_uuid: str, step: str, make: Callable[[Path], Awaitable[None]]) -> Export:
        """An image that `make` writes into the file it is given."""
        async with self._dirs.making(server_uuid, IMAGE, step) as (final, temporary):
            await make(temporary)
        with os_errors(step):
            size = (await asyncio.to_thread(final.stat)).st_size
        return Export(size=size, open=lambda: _pieces(final))

    async def drop(self, server_uuid: str) -> None:
        """Both files go."""
        await asyncio.to_thread(self._dirs.remove_files, server_uuid, (COPY, IMAGE))


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    """The file's bytes, read by a worker thread a mebibyte at a time."""
    with os_errors(f"reading {path.name}"):
        file = await asyncio.to_thread(path.open, "rb", 0)
        try:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece
        finally:
            file.close()
