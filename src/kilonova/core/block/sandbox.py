"""Running the disk tools (qemu-img, debugfs, mkfs …) under limits: address space, CPU seconds, file size, a time-out.

The tools read files of users, so a hostile image may at worst use up what is granted here.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kilonova.core import subprocesses
from kilonova.core.block.errors import DiskError, DiskFull
from kilonova.core.subprocesses import Program

PACKAGES = {
    "qemu-img": "qemu-utils",
    "qemu-storage-daemon": "qemu-system-common",
    "debugfs": "e2fsprogs",
    "e2fsck": "e2fsprogs",
    "mkfs.ext2": "e2fsprogs",
    "mkfs.ext3": "e2fsprogs",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.vfat": "dosfstools",
    "mkfs.xfs": "xfsprogs",
    "mkswap": "util-linux",
    "cryptsetup": "cryptsetup-bin",
    "prlimit": "util-linux",
    "setpriv": "util-linux",
    "fusermount3": "fuse3",
    "cp": "coreutils",
}
PATH = os.pathsep.join((os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin"))
NO_ROOM = ("No space left on device", "Disk quota exceeded")
KEPT_OUTPUT = 256 * 1024
STACK = 2 << 20  # bytes of a thread's
T = TypeVar("T")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one tool may use: bytes of address space and of any file it writes, CPU seconds (None: as much as it wants), and wall
    seconds. With `powerless` it is root without root's powers, where we are root. qemu-img waits for a slow disk with up to 64
    threads: small stacks and two heaps let all of them into the address space."""

    address_space: int | None = 1 << 30
    file_size: int | None = None
    cpu_seconds: int | None = 30
    timeout: float = 60.0
    powerless: bool = False


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a tool ended; outputs are cut at 256 KiB."""

    returncode: int
    stdout: bytes
    stderr: str

    @property
    def reason(self) -> str:
        """The tool's last words, or how it was killed."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        if lines:
            return lines[-1]
        if self.returncode < 0:
            return f"killed by {signal.Signals(-self.returncode).name}"
        return f"exit status {self.returncode}"


def tool(name: str) -> str:
    """The tool's full path; DiskError naming its Debian package when it isn't installed."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise DiskError(f"{name} is not installed: apt-get install {PACKAGES.get(name, name)}")
    return found


async def spawn(
    argv: Sequence[str],
    limits: Limits,
    *,
    cwd: Path | None = None,
    die_with_us: bool = False,
    stdin: bytes | None = None,
) -> Program:
    """Start a tool under its limits, in a session of its own, with a plain environment and both outputs piped. `stdin` is
    what it may read, which no list of processes shows."""
    asked = {
        "as": limits.address_space, "cpu": limits.cpu_seconds, "fsize": limits.file_size, "core": 0, "stack": STACK,
    }  # fmt: skip
    limit = [tool("prlimit"), *(f"--{name}={most}" for name, most in asked.items() if most is not None)]
    tied = [tool("setpriv"), "--pdeathsig", "TERM"] if die_with_us else []
    if limits.powerless and os.geteuid() == 0:
        tied = [*(tied or [tool("setpriv")]), "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    environment = {"LC_ALL": "C", "PATH": PATH, "DEBUGFS_PAGER": "__none__", "MALLOC_ARENA_MAX": "2"}
    command = [*limit, "--", *tied, tool(argv[0]), *argv[1:]]
    if stdin is None:
        return await subprocesses.start(command, cwd=cwd, env=environment, new_session=True)
    with _readable(stdin) as end:
        return await subprocesses.start(command, stdin=end, cwd=cwd, env=environment, new_session=True)


@contextmanager
def _readable(content: bytes) -> Iterator[int]:
    """A file in memory alone."""
    handle = os.memfd_create("stdin", os.MFD_CLOEXEC)
    try:
        os.write(handle, content)
        os.lseek(handle, 0, os.SEEK_SET)
        yield handle
    finally:
        os.close(handle)


async def run(argv: Sequence[str], limits: Limits, *, cwd: Path | None = None, stdin: bytes | None = None) -> Result:
    """Run a tool to its end; DiskError when it takes longer than its time-out. The exit status is the caller's."""
    process = await spawn(argv, limits, cwd=cwd, stdin=stdin)
    try:
        async with asyncio.timeout(limits.timeout):
            stdout, stderr = await drain(process)
            returncode = await process.wait()
    except TimeoutError as error:
        raise DiskError(f"{argv[0]} took longer than {limits.timeout:g} s") from error
    finally:
        if process.returncode is None:
            await to_the_end(kill(process))
    return Result(returncode=returncode, stdout=stdout, stderr=stderr.decode("utf-8", "replace"))


async def must_run(
    argv: Sequence[str], limits: Limits, *, step: str, cwd: Path | None = None, stdin: bytes | None = None
) -> Result:
    """Like `run`, but anything other than exit status 0 is a DiskError (or DiskFull) that starts with `step`."""
    result = await run(argv, limits, cwd=cwd, stdin=stdin)
    if result.returncode != 0:
        kind = DiskFull if any(words in result.stderr for words in NO_ROOM) else DiskError
        raise kind(f"{step}: {argv[0]}: {result.reason}")
    return result


async def drain(process: Program) -> tuple[bytes, bytes]:
    """Both outputs to their end, keeping the first 256 KiB of each."""
    stdout, stderr = await asyncio.gather(_read(process.stdout), _read(process.stderr))
    return stdout, stderr


async def _read(stream: asyncio.StreamReader) -> bytes:
    kept = bytearray()
    while chunk := await stream.read(65536):
        kept += chunk[: KEPT_OUTPUT - len(kept)]
    return bytes(kept)


async def kill(process: Program) -> None:
    """SIGKILL to the process and its session, and wait for it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """Finish clean-up work even when the caller is cancelled meanwhile; the cancellation follows."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:
            break
    if cancelled is not None:
        raise cancelled
    return task.result()
