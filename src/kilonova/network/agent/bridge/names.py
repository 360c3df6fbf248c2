"""Names on the host, and values checked before they become text that a tool reads."""

from __future__ import annotations

import functools
import ipaddress
import re
import uuid

from kilonova.network.agent.dataplane import DataPlaneError
from kilonova.network.agent.model import HostModel

METADATA_ADDRESS = "169.254.169.254"
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

memo = functools.lru_cache(maxsize=16384)  # pure functions, asked again for every address at every change


def check_ids(state: HostModel) -> None:
    """Ids become device names, chain names and paths, so they must be uuids; raises DataPlaneError."""
    for network in state.networks:
        check_uuid("network", network.id)
        for port in network.ports:
            check_uuid("port", port.id)
        for subnet in network.subnets:
            check_uuid("subnet", subnet.id)
    for group in state.security_groups:
        check_uuid("security group", group.id)


def check_uuid(what: str, value: str) -> str:
    try:
        if str(uuid.UUID(value)) == value:
            return value
    except ValueError:
        pass
    raise DataPlaneError(f"{what} id {value!r} is not a uuid")


@memo
def clean_mac(value: str) -> str:
    """Lower case with colons; raises ValueError."""
    mac = value.lower().replace("-", ":")
    if not MAC.fullmatch(mac):
        raise ValueError(f"bad MAC address {value!r}")
    return mac


@memo
def clean_ip(value: str) -> str:
    return str(ipaddress.ip_address(value))


@memo
def clean_network(value: str) -> Network:
    return ipaddress.ip_network(value, strict=False)


@memo
def link_local(mac: str) -> str:
    """The IPv6 link-local address that a guest makes of its MAC (EUI-64)."""
    b = bytes.fromhex(clean_mac(mac).replace(":", ""))
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + bytes([b[0] ^ 2]) + b[1:3] + b"\xff\xfe" + b[3:]))


def dhcp_link(network_id: str) -> str:
    """The host's end of the wire to a network's namespace (not called tap…: it is no guest)."""
    return "kdh" + network_id[:11]


def inner_link(network_id: str) -> str:
    """The end of that wire in the namespace."""
    return "ns-" + network_id[:11]


def vxlan_link(instance: str, segmentation_id: int) -> str:
    """The tunnel device of a network: 15 characters at most."""
    return f"{vxlan_prefix(instance)}{segmentation_id}"


def vxlan_prefix(instance: str) -> str:
    return f"{instance}-vx"


def hex_id(value: str) -> str:
    """20 hex digits of a uuid: what fits into a chain's name."""
    return value.replace("-", "")[:20]
