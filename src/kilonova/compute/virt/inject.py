"""Reading and writing files of a guest's ext2/3/4 root file system with debugfs, on a disk that no guest uses.

debugfs takes commands line by line, and a line may be a host shell's (`!`): so a path gets in only as a checked,
quoted and bounded argument. It reports success whatever happened: so what was written is read back.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import shutil
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from kilonova.compute.virt import partitions
from kilonova.compute.virt.block_export import exported, unmount
from kilonova.compute.virt.disks import FileRefused, InjectedFile
from kilonova.core.block.errors import DiskError
from kilonova.core.block.files import KeyedLocks, os_errors
from kilonova.core.block.sandbox import Limits, Result, must_run, run, to_the_end

LONGEST_PATH, LONGEST_NAME = 1024, 255  # bytes; debugfs splits lines at 8192
LARGEST_READ = 16 << 20
WRITING = Limits()
SUPERBLOCK = 1024
EXT_MAGIC = 0xEF53
NEEDS_RECOVERY = 0x4  # of s_feature_incompat
PRIVATE = ".ssh"
E2FSCK_REPAIRED = (0, 1)
NOISE = re.compile(r"^debugfs \d")


class Injector:
    """Edits disks; `work` is a directory of ours for what is in progress."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._numbers = itertools.count()
        self._locks = KeyedLocks()
        self._swept = False

    async def write(self, disk: Path, format: str, files: Sequence[InjectedFile]) -> None:
        """See `DiskStore.inject`. Files are owned by root; an existing file or link is replaced; missing directories
        are made with mode 0755 (0700 below `.ssh`)."""
        wanted = {checked_path(file.path): file for file in files}
        if not wanted:
            return
        async with self._opened(disk, format, writable=True) as (work, device):
            for number, file in enumerate(wanted.values()):
                (work / f"in{number}").write_bytes(file.content)
            commands = await _plan(work, device, wanted)
            began = _begun(disk)
            began.touch()
            # Killed in the middle, debugfs would leave a damaged file system: a cancelled caller waits for it.
            result = await to_the_end(_debugfs(work, device, commands, writable=True))
            began.unlink()
            for number, (path, file) in enumerate(wanted.items()):
                found = await _read(work, device, path, len(file.content), f"out{number}")
                if found != (file.content, file.mode):
                    raise DiskError(f"writing {path} into {disk.name}: {_reason(result, found)}")

    async def read(self, disk: Path, format: str, path: str) -> bytes | None:
        """A file's content (up to 16 MiB), None when there is no such file; a symbolic link is not followed."""
        path = checked_path(path)
        async with self._opened(disk, format, writable=False) as (work, device):
            found = await _read(work, device, path, LARGEST_READ, "out")
        return None if found is None else found[0]

    @asynccontextmanager
    async def _opened(self, disk: Path, format: str, *, writable: bool) -> AsyncIterator[tuple[Path, str]]:
        """(directory to work in, what debugfs opens) while the disk is exported."""
        async with self._locks[str(disk)]:
            with os_errors(f"opening {disk}"):
                async with self._worked(disk, format, writable=writable) as opened:
                    yield opened

    @asynccontextmanager
    async def _worked(self, disk: Path, format: str, *, writable: bool) -> AsyncIterator[tuple[Path, str]]:
        await self._sweep()
        work = self._work / f"{os.getpid()}-{next(self._numbers)}"
        work.mkdir(mode=0o700)
        try:
            async with exported(disk, format, work, writable=writable) as export:
                yield work, await _find_root(work, export, disk, writable=writable)
        finally:
            shutil.rmtree(work)

    async def _sweep(self) -> None:
        """Remove, once, the unfinished work of processes that died."""
        if self._swept:
            return
        self._swept = True
        for left in self._left_by_the_dead():
            await unmount(left / "disk")
            shutil.rmtree(left, ignore_errors=True)

    def _left_by_the_dead(self) -> list[Path]:
        return [left for left in self._work.glob("*-*") if not Path("/proc", left.name.partition("-")[0]).exists()]


def checked_path(path: str) -> str:
    """The path, when it is an absolute one that debugfs can be given; DiskError otherwise."""
    try:
        parts = [part.encode() for part in path.split("/")]
    except UnicodeEncodeError as error:
        raise FileRefused(f"can't write a file named {path!r}: not Unicode") from error
    names = parts[1:]
    plain = path.isprintable() and '"' not in path and "\\" not in path
    if parts[0] or not names or not plain or any(name in (b"", b".", b"..") for name in names):
        raise FileRefused(f"can't write a file named {path!r}: give an absolute path of plain names")
    if max(map(len, names)) > LONGEST_NAME or len(path.encode()) > LONGEST_PATH:
        raise FileRefused(f"can't write a file named {path[:80]!r}…: the path is too long")
    return path


async def _plan(work: Path, device: str, wanted: Mapping[str, InjectedFile]) -> list[str]:
    """The commands that write the files. Made from what is there: debugfs loses blocks when it makes a
    directory that exists, and replaces a directory when it writes a file of that name."""
    parents = sorted({parent for path in wanted for parent in _parents(path)}, key=lambda parent: parent.count("/"))
    asked = [*parents, *(f"{parent}/." for parent in parents), *map(_through_links, wanted)]
    result = await _debugfs(work, device, [f'stat "{path}"' for path in asked], writable=False)
    answers = re.split(r"^debugfs: ", result.stdout.decode("utf-8", "replace"), flags=re.MULTILINE)[1:]
    if len(answers) != len(asked):  # a link whose target spans lines, for one
        raise DiskError("the guest's file system answers in riddles")
    kinds = {path: _kind(answer) for path, answer in zip(asked, answers, strict=True)}
    commands = []
    for parent in parents:
        if kinds[parent] is None:
            mode = "040700" if PRIVATE in parent.split("/") else "040755"
            commands += [f'mkdir "{_through_links(parent)}"', f'sif "{parent}" mode {mode}']
        elif kinds[f"{parent}/."] != "directory":
            raise FileRefused(f"{parent} is no directory in the guest's file system")
    for number, (path, file) in enumerate(wanted.items()):
        name = _through_links(path)
        if kinds[name] == "directory":
            raise FileRefused(f"{path} is a directory in the guest's file system")
        if kinds[name] is not None:
            commands.append(f'rm "{name}"')
        commands.append(f'write in{number} "{name}"')
        fields = {"mode": f"010{file.mode & 0o7777:04o}", "uid": "0", "gid": "0"}
        commands += [f'sif "{name}" {field} {value}' for field, value in fields.items()]
    return commands


def _parents(path: str) -> list[str]:
    names = path.split("/")[1:-1]
    return ["/" + "/".join(names[: depth + 1]) for depth in range(len(names))]


def _through_links(path: str) -> str:
    """The same path in a form that makes debugfs follow its directory when that is a symbolic link."""
    directory, _, name = path.rpartition("/")
    return f"{directory}/./{name}"


def _kind(answer: str) -> str | None:
    found = re.search(r"^Inode: .*Type: (\w+)", answer, re.MULTILINE)
    return found[1] if found else None


def _begun(disk: Path) -> Path:
    """Marks a disk while debugfs writes to it: where it is found later, a process died meanwhile."""
    return disk.with_name(f".{disk.name}.injecting")


async def _debugfs(
    work: Path, device: str, commands: Sequence[str], *, writable: bool, limits: Limits = WRITING
) -> Result:
    (work / "commands").write_text("".join(f"{command}\n" for command in commands))
    argv = ["debugfs", *(["-w"] if writable else []), "-f", "commands", device]
    return await must_run(argv, limits, step="editing the file system", cwd=work)


async def _read(work: Path, device: str, path: str, largest: int, into: str) -> tuple[bytes, int] | None:
    """(content, mode) of a regular file, by a debugfs of its own; None when there is none."""
    name, limits = _through_links(path), Limits(file_size=largest + 65536)
    result = await _debugfs_or_cut(work, device, [f'stat "{name}"', f'dump "{name}" {into}'], limits)
    status = re.search(r"Type: (\w+)\s+Mode:\s+(\d+).*?Size: (\d+)", result, re.DOTALL)
    if status is None:
        return None
    kind, mode, size = status.groups()
    if kind != "regular":
        raise FileRefused(f"{path} is a {kind} in the guest's file system, not a file")
    if int(size) > largest:
        raise DiskError(f"{path} has {size} bytes, more than the {largest} that may be read")
    content = await asyncio.to_thread((work / into).read_bytes)
    return content, int(mode, 8)


async def _debugfs_or_cut(work: Path, device: str, commands: Sequence[str], limits: Limits) -> str:
    """debugfs may be killed by the limit on what it writes; its output until then is kept."""
    (work / "commands").write_text("".join(f"{command}\n" for command in commands))
    result = await run(["debugfs", "-f", "commands", device], limits, cwd=work)
    return result.stdout.decode("utf-8", "replace")


async def _find_root(work: Path, export: Path, disk: Path, *, writable: bool) -> str:
    """What debugfs opens: the export, or the export at a partition's offset."""
    offsets = await asyncio.to_thread(_ext_offsets, export)
    if not offsets:
        raise FileRefused(f"{disk.name} has no ext2, ext3 or ext4 file system to write to; use a config drive")
    devices = [export.name if offset == 0 else f"{export.name}?offset={offset}" for offset in offsets]
    device = devices[0]
    for candidate in devices if len(devices) > 1 else ():  # a /boot of its own comes first on some disks
        result = await _debugfs(work, candidate, ['stat "/etc"'], writable=False)
        if b"Type: directory" in result.stdout:
            device = candidate
            break
    unclean = await asyncio.to_thread(_needs_recovery, export, offsets[devices.index(device)])
    if writable and await asyncio.to_thread(_begun(disk).exists):
        result = await run(["e2fsck", "-f", "-y", device], WRITING, cwd=work)
        if result.returncode not in E2FSCK_REPAIRED:
            raise DiskError(f"repairing {disk.name} after an injection that died: e2fsck: {result.reason}")
    elif writable and unclean:
        await must_run(["e2fsck", "-p", "-E", "journal_only", device], WRITING, step="replaying the journal", cwd=work)
    return device


def _ext_offsets(export: Path) -> list[int]:
    with export.open("rb") as file:
        head = file.read(partitions.HEAD)
        found = []
        for offset in partitions.linux_offsets(head):
            file.seek(offset + SUPERBLOCK + 56)
            if file.read(2) == struct.pack("<H", EXT_MAGIC):
                found.append(offset)
    return found


def _needs_recovery(export: Path, offset: int) -> bool:
    with export.open("rb") as file:
        file.seek(offset + SUPERBLOCK + 96)
        return bool(struct.unpack("<I", file.read(4))[0] & NEEDS_RECOVERY)


def _reason(result: Result, found: tuple[bytes, int] | None) -> str:
    words = [line.strip() for line in result.stderr.splitlines() if line.strip() and not NOISE.search(line)]
    if words:
        return "; ".join(words[:3])
    return "it is not there" if found is None else "what was read back differs"
