"""Programs that outlive the agent, each in a namespace and known by its pid file: found again, started, stopped. Blocking."""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import signal
import subprocess
from pathlib import Path

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.options import DataPlaneOptions
from kilonova.network.agent.system import netns
from kilonova.network.agent.system.commands import missing


def dnsmasq_user(options: DataPlaneOptions, root: Path) -> str:
    """The user that dnsmasq runs as. It reads its files below `root` again on SIGHUP, so this user must be able to read them."""
    if options.dnsmasq_user:
        return options.dnsmasq_user
    try:
        pwd.getpwnam("dnsmasq")
    except KeyError:
        return "root"
    reachable = all(parent.stat().st_mode & 0o001 for parent in (root, *root.parents) if parent.exists())
    return "dnsmasq" if reachable else "root"


def running(folder: Path) -> int | None:
    """The process of `folder/pid`, if it still is the one that was started with that pid file."""
    try:
        pid = int((folder / "pid").read_text())
    except (OSError, ValueError):
        return None
    return pid if f"--pid-file={folder}/pid" in command_line(pid) else None


def start(namespace: str, argv: list[str], timeout: float) -> None:
    """Raises DataPlaneError when it does not go into the background within `timeout` seconds."""
    tool = argv[0]
    try:
        done = netns.run_inside(
            namespace,
            lambda: subprocess.run(argv, capture_output=True, timeout=timeout, check=False, umask=0o022),
        )
    except FileNotFoundError:
        raise missing(tool) from None
    except subprocess.TimeoutExpired:
        raise DataPlaneError(f"{tool} in {namespace} did not start within {timeout:g} s") from None
    if done.returncode != 0:
        raise DataPlaneError(f"{tool} in {namespace}: {done.stderr.decode(errors='replace').strip()}")


def command_line(pid: int) -> list[str]:
    """Arguments of a live process; [] when there is none or only a zombie is left."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
    return [] if state in "ZX" else words


def stop(pid: int) -> None:
    """End a process and wait until it is gone; 2 s at most before it is killed."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            for number, timeout in ((signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0)):
                signal.pidfd_send_signal(handle, number)
                if _gone(handle, timeout):
                    return
        finally:
            os.close(handle)


def _gone(handle: int, timeout: float) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
