"""What the parts need of the host, checked before anything is tried. Blocking."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
from pathlib import Path

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.system.commands import missing
from kilonova.network.agent.system.netlink import route

CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21}
CALLS = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables")


def check_address(tunnel_ip: str) -> None:
    """Raises DataPlaneError where it is no address of this host."""
    with route() as ip:
        if not any(address.get("address") == tunnel_ip for address in ip.get_addr(family=socket.AF_INET)):
            raise DataPlaneError(f"dataplane.tunnel_ip {tunnel_ip} is no address of this host")


def check_tools(*tools: str) -> None:
    """Raises DataPlaneError with the package to install."""
    for tool in tools:
        if shutil.which(tool) is None:
            raise missing(tool)


def filter_bridged() -> None:
    """Turn on that bridged packets pass iptables. Raises DataPlaneError with advice."""
    if not Path("/proc/sys/net/bridge").is_dir():
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(["modprobe", "br_netfilter"], capture_output=True, timeout=10, check=False)
    for name in CALLS:
        path = Path("/proc/sys/net/bridge") / name
        try:
            if path.read_text().strip() != "1":
                path.write_text("1")
        except OSError as why:
            raise DataPlaneError(
                f"{path}: {why.strerror}: security groups need the kernel's br_netfilter "
                "(load it with `modprobe br_netfilter`)"
            ) from None


def check_rights() -> None:
    """Raises DataPlaneError with advice."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.M)
    have = int(found[1], 16) if found else 0
    lacking = [name for name, bit in CAPABILITIES.items() if not have >> bit & 1]
    if lacking:
        raise DataPlaneError(
            f"the bridge data plane needs root ({', '.join(lacking)} missing): run the agent as root, "
            "or choose the noop data plane with the fake hypervisor"
        )
