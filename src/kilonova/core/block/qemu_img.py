"""qemu-img, always with formats named, under limits and a time-out."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kilonova.core.block.errors import DiskError, ImageRefused
from kilonova.core.block.sandbox import Limits, must_run, run

QUICK = Limits()
COPYING = Limits(cpu_seconds=3600, timeout=3600.0)
CORRUPT = 2  # qemu-img check's exit status; 3 means leaked clusters, which are harmless


class _Data(msgspec.Struct, frozen=True, rename="kebab"):
    data_file: str | None = None


class _Specific(msgspec.Struct, frozen=True):
    data: _Data = _Data()


class ImageInfo(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """What `qemu-img info` prints. `virtual_size` in bytes; `backing_filename` as the image has it."""

    virtual_size: int
    format: str
    backing_filename: str | None = None
    backing_filename_format: str | None = None
    full_backing_filename: str | None = None
    format_specific: _Specific = _Specific()

    @property
    def data_file(self) -> str | None:
        """Another file that has the data of this one."""
        return self.format_specific.data.data_file


async def info(path: Path, format: str) -> ImageInfo:
    """The image's header, read even while a guest uses the image."""
    argv = ["qemu-img", "info", "--force-share", "--output=json", "-f", format, str(path)]
    result = await must_run(argv, QUICK, step=f"reading {path.name}")
    try:
        return msgspec.json.decode(result.stdout, type=ImageInfo)
    except msgspec.MsgspecError as error:
        raise DiskError(f"reading {path.name}: unexpected answer of qemu-img info: {error}") from error


async def check_qcow2(path: Path, *, name: str) -> None:
    """Raise ImageRefused when the tables of a qcow2 are damaged, as in a truncated file."""
    result = await run(["qemu-img", "check", "-q", "-f", "qcow2", str(path)], COPYING)
    if result.returncode == CORRUPT:
        raise ImageRefused(f"image {name}: its qcow2 tables are damaged, the file may be truncated")
    if result.returncode not in (0, 3):
        raise ImageRefused(f"image {name}: it can't be checked") from DiskError(f"qemu-img check: {result.reason}")


async def create_overlay(target: Path, backing: Path, backing_format: str, size: int, *, step: str) -> None:
    """A qcow2 of `size` bytes on top of `backing`; its cost does not depend on either size."""
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(backing), "-F", backing_format]
    await must_run([*argv, str(target), str(size)], QUICK, step=step)


async def create_empty(target: Path, format: str, size: int, *, step: str) -> None:
    """A disk of `size` bytes in which nothing was written."""
    await must_run(["qemu-img", "create", "-q", "-f", format, str(target), str(size)], QUICK, step=step)


async def convert(source: Path, source_format: str, target: Path, format: str, *, step: str) -> None:
    """A full copy that needs no other file, without what was never written."""
    argv = ["qemu-img", "convert", "-q", "-f", source_format, "-O", format, str(source), str(target)]
    await must_run(argv, COPYING, step=step)


async def grow(path: Path, format: str, size: int, *, step: str) -> None:
    """Make the disk `size` bytes, more than it has; fails while a guest uses it."""
    await must_run(["qemu-img", "resize", "-q", "-f", format, str(path), str(size)], QUICK, step=step)


async def rebase(path: Path, backing: Path, backing_format: str, *, step: str) -> None:
    """The overlay names another path of the same backing file; nothing is read or copied."""
    argv = ["qemu-img", "rebase", "-u", "-q", "-f", "qcow2", "-b", str(backing), "-F", backing_format, str(path)]
    await must_run(argv, QUICK, step=step)
