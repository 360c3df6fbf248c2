"""Names on the host, and values checked before they become text that a tool reads."""

from __future__ import annotations

import functools
import ipaddress
import re
import uuid
from typing import Protocol, TypeVar

from msgspec.structs import replace

from kilonova.core import addresses
from kilonova.network.agent.dataplane import DataPlaneError, Fault
from kilonova.network.agent.model import HostModel

METADATA_ADDRESS = "169.254.169.254"
DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")
HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*", re.I)

LINE = re.compile(r"[A-Za-z0-9 .,:/_=!@{}\[\]\"+-]*")  # what a line of a rule, lease or option file may be made of


class _Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Named)
memo = functools.lru_cache(maxsize=16384)  # pure functions, asked again for every address at every change


def readable(state: HostModel) -> tuple[HostModel, list[Fault]]:
    """Ids become device names, chain names and paths, so they must be uuids: the state without what has another id, and what
    that is. A port that is not in the state may neither send nor receive."""
    faults: list[Fault] = []

    def keep(kind: str, items: tuple[T, ...]) -> tuple[T, ...]:
        if all(is_uuid(item.id) for item in items):
            return items
        bad = [item.id for item in items if not is_uuid(item.id)]
        faults.extend(Fault(kind=kind, id=id, reason=f"{kind} id {id!r} is not a uuid", lasting=True) for id in bad)
        return tuple(item for item in items if is_uuid(item.id))

    networks = tuple(
        replace(network, ports=keep("port", network.ports), subnets=keep("subnet", network.subnets))
        for network in keep("network", state.networks)
    )
    groups = keep("security group", state.security_groups)
    routers = keep("router", state.routers) if state.routers else state.routers
    kept = replace(state, networks=networks, security_groups=groups, routers=routers) if faults else state
    return kept, faults


def check_uuid(what: str, value: str) -> str:
    if not is_uuid(value):
        raise DataPlaneError(f"{what} id {value!r} is not a uuid")
    return value


@memo
def is_uuid(value: str) -> bool:
    """As ids are written: lower case, with hyphens."""
    try:
        return str(uuid.UUID(value)) == value
    except ValueError:
        return False


@memo
def clean_mac(value: str) -> str:
    """Lower case with colons; raises ValueError."""
    return addresses.parse_mac(value)


@memo
def clean_ip(value: str) -> str:
    """Raises ValueError."""
    return str(addresses.parse_address(value))


@memo
def clean_network(value: str) -> addresses.IPNetwork:
    """Raises ValueError."""
    return addresses.parse_network(value)


def clean_line(text: str) -> str:
    """Text that is one line and holds nothing that a tool reads as the end of it; raises ValueError."""
    if not LINE.fullmatch(text):
        raise ValueError(f"{text!r} cannot be written as a line")
    return text


@memo
def link_local(mac: str) -> str:
    """The IPv6 link-local address that a guest makes of its MAC (EUI-64)."""
    b = bytes.fromhex(clean_mac(mac).replace(":", ""))
    octets = b"\xfe\x80" + bytes(6) + bytes([b[0] ^ 2]) + b[1:3] + b"\xff\xfe" + b[3:]
    return str(ipaddress.IPv6Address(octets))  # noqa: TID251 - not from text


def network_alias(instance: str) -> str:
    """What the alias of every device of ours begins with; the network's id follows."""
    return f"kilonova/{instance}/network/"


ROUTER_METADATA_PORT = 9697  # where metadata listens in a router


def router_alias(instance: str) -> str:
    """What the alias of a router's devices on bridges begins with; the router's id follows."""
    return f"kilonova/{instance}/router/"


def dhcp_link(network_id: str) -> str:
    """The host's end of the wire to a network's namespace (not called tap…: it is no guest)."""
    return "kdh" + network_id[:11]


def inner_link(network_id: str) -> str:
    """The end of that wire in the namespace."""
    return "ns-" + network_id[:11]


def subport_link(port_id: str) -> str:
    """The far end of a subport's wire, at which frames get the tag and from which they come without."""
    return "kts" + port_id[:11]


def physical_link(network_id: str) -> str:
    """The network's end of the wire to the bridge of its physical network."""
    return "kpn" + network_id[:11]


def outward_link(network_id: str) -> str:
    """The end of that wire on the bridge of the physical network."""
    return "kpo" + network_id[:11]


def vxlan_link(instance: str, segmentation_id: int) -> str:
    """The tunnel device of a network: 15 characters at most."""
    return f"{vxlan_prefix(instance)}{segmentation_id}"


def vxlan_prefix(instance: str) -> str:
    return f"{instance}-vx"


def hex_id(value: str) -> str:
    """20 hex digits of a uuid: what fits into a chain's name."""
    return value.replace("-", "")[:20]


def chain_owner(chain: str, prefix: str) -> str:
    """The beginning of the id of the port or group that a chain belongs to; "" for those of the host."""
    port = re.fullmatch(rf"{prefix}-[io]-([0-9a-f]{{8}}-[0-9a-f]{{2}})", chain)
    group = re.fullmatch(rf"{prefix}-(?:gi|go|ms|md)-([0-9a-f]{{20}})", chain)
    if port:
        return port[1]
    if group:
        h = group[1]
        return "-".join((h[:8], h[8:12], h[12:16], h[16:20]))
    return ""
