"""What the host must offer before anything is tried. Blocking."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
from pathlib import Path

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.l2.bridge.links import route
from kilonova.network.agent.system.commands import missing

TOOLS = ("iptables-restore", "ip6tables-restore", "iptables-save", "ip6tables-save", "nft", "dnsmasq")
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21}
CALLS = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables")


def check_host(tunnel_ip: str = "") -> None:
    """Raises DataPlaneError with advice; turns on that bridged packets pass iptables. `tunnel_ip` must be an address here."""
    _check_rights()
    if tunnel_ip:
        with route() as ip:
            if not any(address.get("address") == tunnel_ip for address in ip.get_addr(family=socket.AF_INET)):
                raise DataPlaneError(f"dataplane.tunnel_ip {tunnel_ip} is no address of this host")
    for tool in TOOLS:
        if shutil.which(tool) is None:
            raise missing(tool)
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


def _check_rights() -> None:
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.M)
    have = int(found[1], 16) if found else 0
    lacking = [name for name, bit in CAPABILITIES.items() if not have >> bit & 1]
    if lacking:
        raise DataPlaneError(
            f"the bridge data plane needs root ({', '.join(lacking)} missing): run the agent as root, "
            "or choose the noop data plane with the fake hypervisor"
        )
