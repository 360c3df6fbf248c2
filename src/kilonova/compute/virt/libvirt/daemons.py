"""libvirt's daemons, started by us on hosts where no init system does it (containers, small appliances)."""

from __future__ import annotations

import asyncio
import grp
import os
import select
import shutil
import stat
import sys
from pathlib import Path

from kilonova.compute.virt.driver import HypervisorUnavailable
from kilonova.compute.virt.libvirt import reaper
from kilonova.core import log

SOCKET = Path("/run/libvirt/libvirt-sock")
VIRTLOGD_SOCKET = Path("/run/libvirt/virtlogd-sock")
PID_DIR = Path("/run")
LOG_DIR = Path("/var/log/libvirt")
POLL = 0.05
KVM_DEVICE = Path("/dev/kvm")
SYSTEMD = Path("/run/systemd/system")
UDEV = Path("/run/udev")
INSTALL = "apt-get install libvirt-daemon-system qemu-system-x86"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

LOG = log.get(__name__)


async def ensure_daemons(*, timeout: float = 60.0) -> None:
    """Return when libvirtd answers on its socket, having started virtlogd and libvirtd if they do not run.

    They run on when this process ends. Raises HypervisorUnavailable with advice. `timeout` in seconds: the first start
    on a host can take long, as libvirtd asks every emulator what it can do."""
    await asyncio.to_thread(open_kvm_to_guests)
    if await answers(SOCKET):
        return
    if await asyncio.to_thread(SYSTEMD.is_dir):
        raise HypervisorUnavailable(f"libvirtd does not answer on {SOCKET}: systemctl start libvirtd (or: {INSTALL})")
    if os.geteuid() != 0:
        raise HypervisorUnavailable(f"libvirtd does not answer on {SOCKET}, and only root may start it")
    if not await answers(VIRTLOGD_SOCKET):
        await _start("virtlogd", VIRTLOGD_SOCKET, timeout)
    await _start("libvirtd", SOCKET, timeout)


async def answers(socket: Path) -> bool:
    """Whether a process accepts connections on this unix socket."""
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_unix_connection(socket)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def open_kvm_to_guests(device: Path = KVM_DEVICE) -> None:
    """Give /dev/kvm to the group `kvm`, as udev does everywhere else.

    Where no udev runs it stays root's own. libvirtd then finds KVM when it asks QEMU as root, finds it gone when it
    looks as the guests' user, discards what it knows and asks again: a minute for every call."""
    try:
        info = device.stat()
        group = grp.getgrnam("kvm").gr_gid
    except (OSError, KeyError):
        return
    if UDEV.exists() or os.geteuid() != 0 or info.st_gid != 0 or stat.S_IMODE(info.st_mode) != 0o600:
        return
    os.chown(device, 0, group)
    device.chmod(0o660)
    LOG.info("group of the KVM device set to kvm", device=str(device))


async def _start(name: str, socket: Path, timeout: float) -> None:
    """Run the daemon under our reaper and wait until its socket answers."""
    binary = shutil.which(name, path=ENVIRONMENT["PATH"])
    if binary is None:
        raise HypervisorUnavailable(f"{name} is not installed: {INSTALL}")
    log_file = LOG_DIR / f"{name}.log"
    await asyncio.to_thread(LOG_DIR.mkdir, parents=True, exist_ok=True)
    ended, held = os.pipe()
    end = select.poll()  # select() knows no descriptors above 1023
    end.register(ended, select.POLLIN)
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-I", "-S", reaper.__file__, str(log_file), str(held),
                binary, "--pid-file", str(PID_DIR / f"{name}.pid"),
                cwd="/", env=ENVIRONMENT, pass_fds=(held,), stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        finally:
            os.close(held)
        await process.wait()
        for _ in range(int(timeout / POLL)):
            over = bool(end.poll(0))
            # another process may have won the race for the pid file, so the socket decides, not our daemon's end
            if await answers(socket):
                LOG.info("daemon started", daemon=name)
                return
            if over:
                break
            await asyncio.sleep(POLL)
    finally:
        os.close(ended)
    said = await asyncio.to_thread(_last_line, log_file)
    raise HypervisorUnavailable(f"{name} does not answer on {socket}: {said} ({log_file})")


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines() if path.exists() else []
    return lines[-1] if lines else "it said nothing"
