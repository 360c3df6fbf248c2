"""Programs that outlive the agent, each in a namespace and known by its pid file: found again, started, stopped. Blocking."""

from __future__ import annotations

import pwd
import subprocess
from pathlib import Path

from kilonova.core.processes import command_line
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
