"""Disks as files of a directory: checked base images, copy-on-write overlays, config drives, injected files."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec

from kilonova.compute.virt import config_drive
from kilonova.compute.virt.block import BlockSource, FileSource
from kilonova.compute.virt.disks import BaseImage, Export, InjectedFile
from kilonova.compute.virt.exports import Exports
from kilonova.compute.virt.image_cache import ImageCache
from kilonova.compute.virt.inject import Injector
from kilonova.compute.virt.instance_dirs import InstanceDirs
from kilonova.compute.virt.kinds import kind_of
from kilonova.compute.virt.movable_files import MovableFiles
from kilonova.core.block import qemu_img
from kilonova.core.block.errors import DiskError
from kilonova.core.block.files import os_errors
from kilonova.core.block.images import Fetch, ImageSource
from kilonova.core.block.sandbox import Limits, must_run

GIB = 1 << 30
FICLONE = 0x40049409  # ioctl of Linux: share the blocks of another file
COPY_BUFFER = 1 << 20
ROOT_DISKS = {"qcow2": "disk", "raw": "disk.raw"}
"""Format of a root disk → its name in the server's directory."""
RESCUE_FILES = ("disk.rescue", "kernel.rescue", "ramdisk.rescue")
KERNELS = ("kernel", "ramdisk", *RESCUE_FILES[1:])
DISK_NAME = re.compile(r"(?:disk\.)?(?!(?:config|raw|rescue)$)([a-z][a-z0-9_-]{0,31})")
LAZY = ("-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard")
# file system → (command, option for its label or None)
MAKERS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "ext2": (("mkfs.ext2", "-q", "-F", "-E", "nodiscard"), "-L"),
    "ext3": (("mkfs.ext3", *LAZY), "-L"),
    "ext4": (("mkfs.ext4", *LAZY), "-L"),
    "swap": (("mkswap",), "-L"),
}


class FileDisksOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`state_dir` holds everything; `owner` is the user the hypervisor runs as ("": ourselves); `raw_disks`: new root disks are
    full raw copies instead of overlays."""

    state_dir: Path
    owner: str = ""
    raw_disks: bool = False


class FileDisks(MovableFiles):
    """The disks of one host as files."""

    def __init__(self, options: FileDisksOptions) -> None:
        self._options = options
        self._dirs = InstanceDirs(options.state_dir, options.owner or None)
        self._cache = ImageCache(self._dirs)
        self._injector = Injector(self._dirs.work)
        self._exports = Exports(self._dirs)

    async def fetch(self, image: ImageSource, fetch: Fetch) -> BaseImage:
        return await self._cache.get(image, fetch)

    async def overlay(self, server_uuid: str, base: BaseImage, *, size_gb: int) -> BlockSource:
        wanted = size_gb * GIB
        if wanted and wanted < base.virtual_size:
            raise DiskError(
                f"root disk of server {server_uuid}: {size_gb} GiB ({wanted} bytes) is less than the "
                f"{base.virtual_size} bytes of image {base.path.name}"
            )
        size = max(wanted, base.virtual_size)
        step = f"root disk of server {server_uuid}"
        format = await asyncio.to_thread(self._root_format, server_uuid)
        async with self._dirs.making(server_uuid, ROOT_DISKS[format], step) as (final, temporary):
            if final.exists():
                await self._take_existing(final, format, base, size, step)
            elif format == "qcow2":
                await qemu_img.create_overlay(temporary, base.path, base.format, size, step=step)
            else:
                await self._full_copy(temporary, base, size, step)
        return FileSource(path=final, format=format)

    async def own_root(self, server_uuid: str, *, size_gb: int) -> BlockSource | None:
        disk = await self._root(server_uuid)
        if not await asyncio.to_thread(disk.path.exists):
            return None
        found = await _header(disk.path, disk.format)
        if found.backing_filename is not None:
            return None
        if found.virtual_size < size_gb * GIB:
            step = f"root disk of server {server_uuid}"
            await qemu_img.grow(disk.path, disk.format, size_gb * GIB, step=step)
        return disk

    async def full_root(self, server_uuid: str, base: BaseImage, *, size_gb: int) -> BlockSource:
        size, step = max(size_gb * GIB, base.virtual_size), f"root disk of server {server_uuid}"
        format = await asyncio.to_thread(self._root_format, server_uuid)
        async with self._dirs.making(server_uuid, ROOT_DISKS[format], step) as (final, temporary):
            if not final.exists():
                await qemu_img.convert(base.path, base.format, temporary, format, step=step)
                await qemu_img.grow(temporary, format, size, step=step)
        await asyncio.to_thread(self._cache.drop, base)
        return FileSource(path=final, format=format)

    def _root_format(self, server_uuid: str) -> str:
        """The format of the root disk that exists, by its file's name: its content is the guest's and is not trusted. Without a
        disk, the format of the settings; so a server keeps its disk when they change."""
        directory = self._dirs.server(server_uuid)
        held = (format for format, name in ROOT_DISKS.items() if (directory / name).exists())
        return next(held, "raw" if self._options.raw_disks else "qcow2")

    async def _take_existing(self, disk: Path, format: str, base: BaseImage, size: int, step: str) -> None:
        """A repeated call keeps the disk, and only ever grows it. One that came from another host finds its image here."""
        found = await _header(disk, format)
        held = Path(found.backing_filename or "")
        known = held == base.path and found.backing_filename_format == base.format
        if format == "qcow2" and not known and held.name == base.path.name:
            await qemu_img.rebase(disk, base.path, base.format, step=step)
        elif format == "qcow2" and not known:
            raise DiskError(f"{step}: there is one already, on {found.backing_filename}, not on {base.path}")
        if found.virtual_size < size:
            await qemu_img.grow(disk, format, size, step=step)

    async def _full_copy(self, target: Path, base: BaseImage, size: int, step: str) -> None:
        if base.format == "raw":
            argv = ["cp", "--reflink=auto", "--sparse=always", str(base.path), str(target)]
            await must_run(argv, qemu_img.COPYING, step=step)
        else:
            await qemu_img.convert(base.path, base.format, target, "raw", step=step)
        os.truncate(target, size)

    async def blank(self, server_uuid: str, name: str, *, size_gb: float, filesystem: str | None) -> BlockSource:
        return await self._blank(server_uuid, name, size_gb=size_gb, filesystem=filesystem)

    async def _blank(self, server_uuid: str, name: str, *, size_gb: float, filesystem: str | None) -> FileSource:
        """See `DiskStore.blank`. Always sparse raw, in `disk.<name>` and labelled with its name (`disk.eph0` is `eph0`);
        `size_gb` may be a fraction, as swap is given in MiB; `filesystem`: ext2, ext3, ext4 or swap. One that is there is
        kept, and grown; swap of another size is made anew."""
        known = DISK_NAME.fullmatch(name)
        if known is None:
            raise DiskError(f"disk {name!r} of server {server_uuid}: not a disk's name")
        if filesystem is not None and filesystem not in MAKERS:
            raise DiskError(f"disk {name} of server {server_uuid}: can't make a {filesystem} file system")
        name = known[1]
        step = f"disk {name} of server {server_uuid}"
        size = int(size_gb * GIB)
        async with self._dirs.making(server_uuid, f"disk.{name}", step) as (final, temporary):
            held = final.stat().st_size if final.exists() else None
            if held is not None and filesystem != "swap":
                os.truncate(final, max(held, size))
            elif held != size:
                with temporary.open("wb") as file:
                    file.truncate(size)
                if filesystem is not None:
                    command, label = MAKERS[filesystem]
                    await must_run([*command, label, name[:16], str(temporary)], Limits(), step=step)
        return FileSource(path=final, format="raw")

    async def kernel(self, server_uuid: str, name: str, base: BaseImage) -> Path:
        if name not in KERNELS:
            raise DiskError(f"{name!r} of server {server_uuid}: a kernel or a ramdisk is meant")
        if base.format != "raw":
            raise DiskError(f"{name} of server {server_uuid}: image {base.path.name} is {base.format}, not raw")
        async with self._dirs.making(server_uuid, name, f"{name} of server {server_uuid}") as (final, temporary):
            await asyncio.to_thread(_copy, base.path, temporary)
        return final

    async def config_drive(self, server_uuid: str, files: dict[str, bytes]) -> FileSource:
        step = f"config drive of server {server_uuid}"
        async with self._dirs.making(server_uuid, "disk.config", step) as (final, temporary):
            await asyncio.to_thread(config_drive.write_iso, files, temporary)
        return FileSource(path=final, format="raw")

    async def inject(self, disk: BlockSource, files: list[InjectedFile]) -> None:
        await asyncio.to_thread(self._dirs.make)
        held = _file(disk)
        await self._injector.write(held.path, held.format, files)

    async def read(self, disk: BlockSource, path: str) -> bytes | None:
        """A file of the disk's root file system, None when there is none: so that a caller can add to
        `/root/.ssh/authorized_keys` rather than replace it."""
        await asyncio.to_thread(self._dirs.make)
        held = _file(disk)
        return await self._injector.read(held.path, held.format, path)

    async def rescue(self, server_uuid: str, base: BaseImage) -> BlockSource:
        """See `DiskStore.rescue`. A disk that an earlier call made of the same image stays."""
        step = f"rescue disk of server {server_uuid}"
        async with self._dirs.making(server_uuid, RESCUE_FILES[0], step) as (final, temporary):
            if not final.exists() or (await qemu_img.info(final, "qcow2")).backing_filename != str(base.path):
                await qemu_img.create_overlay(temporary, base.path, base.format, base.virtual_size, step=step)
        return FileSource(path=final, format="qcow2")

    async def drop_rescue(self, server_uuid: str) -> None:
        await asyncio.to_thread(self._dirs.remove_files, server_uuid, RESCUE_FILES)

    async def copy_target(self, server_uuid: str) -> tuple[BlockSource, BlockSource]:
        return await self._exports.copy_target(server_uuid, await self._root(server_uuid))

    async def export(self, server_uuid: str, disk_format: str) -> Export:
        return await self._exports.export(server_uuid, await self._root(server_uuid), disk_format)

    async def drop_export(self, server_uuid: str) -> None:
        await self._exports.drop(server_uuid)

    async def _root(self, server_uuid: str) -> FileSource:
        format = await asyncio.to_thread(self._root_format, server_uuid)
        return FileSource(path=self._dirs.server(server_uuid) / ROOT_DISKS[format], format=format)

    def console_log(self, server_uuid: str) -> Path:
        """See `DiskStore.console_log`. Its directory exists as soon as the server has any file."""
        return self._dirs.server(server_uuid) / "console.log"

    async def wipe(self, server_uuid: str, *, keep: Collection[str] = ()) -> None:
        kept = {*keep, self.console_log(server_uuid).name}
        await asyncio.to_thread(self._dirs.empty, server_uuid, kept)

    async def present(self, server_uuid: str) -> bool:
        directory = self._dirs.server(server_uuid)
        return await asyncio.to_thread(lambda: any((directory / name).exists() for name in ROOT_DISKS.values()))

    async def servers(self) -> set[str]:
        with os_errors("listing servers with disks"):
            return await asyncio.to_thread(self._dirs.servers)

    async def storage(self) -> str:
        with os_errors("reading which storage this is"):
            return await asyncio.to_thread(self._dirs.storage)


async def _header(disk: Path, format: str) -> qemu_img.ImageInfo:
    """Of a disk that may have come from another host, which must not make the guest read files of this one."""
    found = await qemu_img.info(disk, format)
    if found.data_file is not None:
        raise DiskError(f"{disk.name}: its data would be in another file, {found.data_file}")
    return found


def _file(disk: BlockSource) -> FileSource:
    if not isinstance(disk, FileSource):
        raise DiskError(
            f"a disk that is no file of this host ({kind_of(type(disk))}): its file system can't be reached"
        )
    return disk


def _copy(source: Path, target: Path) -> None:
    """A file of its own, never a hard link: the hypervisor changes the owner of what a guest opens, and refuses a file whose
    owner another process changes while another guest uses it. Shares blocks where the file system can."""
    with source.open("rb") as given, target.open("xb") as made:
        try:
            fcntl.ioctl(made, FICLONE, given.fileno())
        except OSError:
            shutil.copyfileobj(given, made, COPY_BUFFER)
