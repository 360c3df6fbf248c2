"""Can this host run guests with KVM? Tested by running one, because hypervisors may list what does not work.

The guest is one boot sector that goes from real mode to 64-bit mode, as a stock kernel does, counts to a hundred
million there, and then writes to QEMU's debug-exit port: QEMU's exit code proves that its last instruction ran. A healthy KVM
needs 0.1 s. One whose layer below emulates what a kernel does, and on which stock kernels hang, got through all but the
counting in 2 s, but needs a minute for that: so the limit separates the two on a busy host, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
import shutil
import tempfile
import zlib
from pathlib import Path

import msgspec

from kilonova.compute.virt.driver import HypervisorUnavailable
from kilonova.core import log
from kilonova.core.timeouts import within

KVM_LIMIT = 3.0
EMULATION_LIMIT = 30.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
GUEST_USERS = ("libvirt-qemu", "qemu")  # the user that runs system guests on Debian and on Fedora
EXIT_VALUE = 0x2A
EXIT_CODE = EXIT_VALUE << 1 | 1

_CODE = bytes.fromhex(
    # cli; segments 0; stack; clear 12 KiB at 0x1000; PML4, PDPT and one 2 MiB page
    "fa31c08ed88ed0bc007c66bf001000008ec06631c066b9000c0000fc66f3ab"
    "66c706001003200000" "66c706002003300000" "66c706003083000000"
    # lgdt; CR4.PAE; CR3; EFER.LME; CR0.PG|PE; far jump into the 64-bit segment
    "0f0116a07c66b8200000000f22e066b8001000000f22d866b9800000c00f32660d000100000f3066b8010000800f22c0ea6f7c0800"
    # data segments; ecx = 100,000,000, counted down to 0; mov al,0x2a; out 0xf4,al; hlt; jmp back
    "b8100000008ed88ed0b900e1f505ffc975fcb02ae6f4f4ebfd"
    # GDT: null, 64-bit code, data; its register
    "0000000000000000" "00000000009a2000" "0000000000920000" "1700887c0000"
)  # fmt: skip
BOOT_SECTOR = _CODE.ljust(510, b"\0") + b"\x55\xaa"

LOG = log.get(__name__)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`virt_type` is kvm or qemu; `reason` says why not kvm, empty when it is; valid for one boot of the host, one emulator and
    one guest that asked it."""

    virt_type: str
    reason: str
    boot_id: str
    emulator: str


async def probe(cache: Path, *, emulator: str = "qemu-system-x86_64", boot_id: Path = BOOT_ID) -> Verdict:
    """The best accelerator that really runs a guest, from `cache` when it was asked since the host booted.

    Raises HypervisorUnavailable when not even emulation works."""
    binary = shutil.which(emulator)
    if binary is None:
        raise HypervisorUnavailable(f"{emulator} is not installed: apt-get install qemu-system-x86")
    booted, stamp, known = await asyncio.to_thread(_known, cache, binary, boot_id)
    if known and (known.boot_id, known.emulator) == (booted, stamp):
        return known
    verdict = await _ask(binary, booted, stamp)
    await asyncio.to_thread(_write, cache, verdict)
    LOG.info("hypervisor probed", virt_type=verdict.virt_type, reason=verdict.reason)
    return verdict


async def _ask(binary: str, booted: str, stamp: str) -> Verdict:
    why = await run_guest(binary, "kvm", limit=KVM_LIMIT)
    if why is None:
        return Verdict(virt_type="kvm", reason="", boot_id=booted, emulator=stamp)
    broken = await run_guest(binary, "tcg", limit=EMULATION_LIMIT)
    if broken is not None:
        raise HypervisorUnavailable(f"{binary} can't run a guest: with kvm: {why}; emulated: {broken}")
    return Verdict(virt_type="qemu", reason=why, boot_id=booted, emulator=stamp)


async def run_guest(binary: str, accelerator: str, *, limit: float) -> str | None:
    """Boot the probe's guest, as the user that will run guests; None when it ran, else what went wrong."""
    with tempfile.TemporaryDirectory(prefix="kilonova-probe-") as folder:
        disk = await asyncio.to_thread(_boot_disk, folder)
        argv = [
            binary, "-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-m", "16",
            "-accel", accelerator, "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
            "-drive", f"file={disk},format=raw,if=ide",
        ]  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            *_as_guest_user(), *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, cwd="/",
        )  # fmt: skip
        try:
            _, words = await within(limit, process.communicate())
        except TimeoutError:
            return f"the probe's guest did not finish within {limit:g} s"
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode == EXIT_CODE:
        return None
    last = words.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {process.returncode}"]
    return last[0]


def _boot_disk(folder: str) -> Path:
    disk = Path(folder, "boot.img")
    disk.write_bytes(BOOT_SECTOR)
    disk.chmod(0o666)  # QEMU insists on writing; the folder is gone in a moment
    Path(folder).chmod(0o711)
    return disk


def _as_guest_user() -> list[str]:
    """The words before a command that run it as libvirt runs guests; none when we may not change the user. By a program,
    as not every event loop can start a process as another user."""
    if os.geteuid() != 0:
        return []
    for name in GUEST_USERS:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            groups = [str(group.gr_gid) for group in grp.getgrall() if name in group.gr_mem] or [str(user.pw_gid)]
            return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", f"--groups={','.join(groups)}"]
    return []


def _known(cache: Path, binary: str, boot_id: Path) -> tuple[str, str, Verdict | None]:
    return (
        boot_id.read_text().strip(),
        f"{binary}@{os.stat(binary).st_mtime_ns}, asked by {zlib.crc32(BOOT_SECTOR):08x}",
        _read(cache),
    )


def _read(cache: Path) -> Verdict | None:
    try:
        return msgspec.json.decode(cache.read_bytes(), type=Verdict)
    except (OSError, msgspec.DecodeError):
        return None


def _write(cache: Path, verdict: Verdict) -> None:
    cache.parent.mkdir(parents=True, exist_ok=True)
    fresh = cache.with_name(f"{cache.name}.{os.getpid()}")
    fresh.write_bytes(msgspec.json.encode(verdict))
    fresh.replace(cache)
