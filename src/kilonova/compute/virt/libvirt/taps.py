"""Tap devices that a crash left behind: libvirt refuses to start a guest whose tap's name exists."""

from __future__ import annotations

import re
from pathlib import Path

from pyroute2 import IPRoute

from kilonova.compute.virt.driver import VirtError

NAME = re.compile(r"[A-Za-z0-9_.-]{1,15}")
CLASS_NET = Path("/sys/class/net")


def check_tap_name(name: str) -> None:
    """Raise VirtError for what can't name a network device."""
    if not NAME.fullmatch(name) or name in (".", ".."):
        raise VirtError(f"{name!r} can't name a tap device: 1 to 15 letters, digits, '_', '.', '-'")


def remove_leftover(name: str) -> bool:
    """Delete the tap device `name` that no process holds open; True when there was one. Raises VirtError when the name
    belongs to something else or to a running process. Blocks."""
    check_tap_name(name)
    device = CLASS_NET / name
    if not device.exists():
        return False
    if not (device / "tun_flags").exists():
        raise VirtError(f"network device {name} exists and is no tap: refusing to delete it")
    if _carrier(device):
        raise VirtError(f"tap {name} is held open by another process")
    with IPRoute() as route:
        for index in route.link_lookup(ifname=name):
            route.link("del", index=index)
    return True


def _carrier(device: Path) -> bool:
    try:
        return (device / "carrier").read_text().strip() == "1"
    except OSError:  # EINVAL: the link is down, so no guest sends through it
        return False
