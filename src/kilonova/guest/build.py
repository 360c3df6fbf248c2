"""Building the guest's images: once, then reused until the script changes."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

SCRIPT = Path(__file__).with_name("build-guest.sh")
TIMEOUT = 900.0
LOCK_POLL = 0.2
STAMP = "built-by"
FILES = ("vmlinuz", "initrd.gz", "root.ext4", "disk.qcow2", "kernel-args")
PATH = os.pathsep.join((os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin"))
# program → Debian package
NEEDED = {
    "busybox": "busybox-static",
    "dropbear": "dropbear-bin",
    "mke2fs": "e2fsprogs",
    "resize2fs": "e2fsprogs",
    "extlinux": "extlinux",
    "depmod": "kmod",
    "cpio": "cpio",
    "qemu-img": "qemu-utils",
    "strip": "binutils",
    "openssl": "openssl",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
}

Progress = Callable[[str, float], None]
"""Called with what is being done and how far it is, 0 to 1."""


class GuestBuildError(Exception):
    """The images could not be built; the text says what to install, or the script's last words."""


class GuestImages(msgspec.Struct, frozen=True, kw_only=True):
    """`kernel`, `initrd` and `root` (raw ext4) boot together with `root=/dev/vda` and `kernel_args`; `disk_qcow2`
    boots by itself."""

    kernel: Path
    initrd: Path
    root: Path
    disk_qcow2: Path
    kernel_args: str


async def build_guest(out: Path, progress: Progress) -> GuestImages:
    """The images in `out`, built there unless they are there. Raises GuestBuildError."""
    await asyncio.to_thread(_make_directory, out)
    with (out / ".lock").open("w") as lock:
        while not _locked(lock.fileno()):
            progress("waiting for another build", 0.0)
            await asyncio.sleep(LOCK_POLL)
        images = await asyncio.to_thread(existing, out)
        if images is None:
            await asyncio.to_thread(_check_tools)
            await _build(out, progress)
            images = await asyncio.to_thread(existing, out)
    if images is None:
        raise GuestBuildError(f"the images in {out} vanished, or the script changed, while they were built")
    progress("guest images are ready", 1.0)
    return images


def existing(out: Path) -> GuestImages | None:
    """The images in `out` if this version of the script made them; blocking."""
    try:
        if (out / STAMP).read_text() != _stamp() or not all((out / name).stat().st_size for name in FILES):
            return None
        return GuestImages(
            kernel=out / "vmlinuz",
            initrd=out / "initrd.gz",
            root=out / "root.ext4",
            disk_qcow2=out / "disk.qcow2",
            kernel_args=(out / "kernel-args").read_text().strip(),
        )
    except FileNotFoundError:
        return None


def _stamp() -> str:
    return hashlib.sha256(SCRIPT.read_bytes()).hexdigest()


def _make_directory(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GuestBuildError(f"making {out}: {error.strerror}") from error


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_tools() -> None:
    """Name everything that is missing at once."""
    missing = sorted({package for program, package in NEEDED.items() if shutil.which(program, path=PATH) is None})
    if missing:
        raise GuestBuildError(f"missing tools: apt-get install --no-install-recommends {' '.join(missing)}")
    if os.geteuid() != 0:
        raise GuestBuildError("building the guest needs root, for one loop mount")


async def _build(out: Path, progress: Progress) -> None:
    """Run the script in a directory beside the images, then move them, the stamp last."""
    work = out / ".building"
    await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    stamp = await asyncio.to_thread(_stamp)
    try:
        await _run_script(work, progress)
        await asyncio.to_thread(_move, work, out, stamp)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _move(work: Path, out: Path, stamp: str) -> None:
    missing = [name for name in FILES if not (work / name).is_file()]
    if missing:
        raise GuestBuildError(f"building the guest made no {', '.join(missing)}")
    (out / STAMP).unlink(missing_ok=True)
    for name in FILES:
        (work / name).replace(out / name)
    (out / STAMP).write_text(stamp)


async def _run_script(work: Path, progress: Progress) -> None:
    script = await asyncio.create_subprocess_exec(
        "bash", str(SCRIPT), str(work),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PATH": PATH, "LC_ALL": "C"}, start_new_session=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(TIMEOUT):
            _, words = await asyncio.gather(_follow(script, progress), _words(script))
            status = await script.wait()
    except TimeoutError as error:
        raise GuestBuildError(f"building the guest took longer than {TIMEOUT:g} s") from error
    finally:
        if script.returncode is None:
            await _end(script)
    if status != 0:
        raise GuestBuildError(f"building the guest failed: {words or f'exit status {status}'}")


async def _follow(script: asyncio.subprocess.Process, progress: Progress) -> None:
    """Pass the script's "@ FRACTION TEXT" lines on."""
    if script.stdout is None:
        return
    async for line in script.stdout:
        mark, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
        fraction, _, text = rest.partition(" ")
        if mark == "@":
            progress(text, float(fraction))


async def _words(script: asyncio.subprocess.Process) -> str:
    """The last lines of stderr."""
    if script.stderr is None:
        return ""
    text = (await script.stderr.read()).decode("utf-8", "replace")
    return "; ".join([line for line in text.splitlines() if line.strip()][-5:])


async def _end(script: asyncio.subprocess.Process) -> None:
    """Let the script unmount and clean up; by force after that."""
    with suppress(ProcessLookupError):
        os.killpg(script.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(10):
            await script.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(script.pid, signal.SIGKILL)
        await script.wait()
