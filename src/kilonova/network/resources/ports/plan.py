"""What a port may look like: its groups, address pairs, MAC, and the addresses it asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

from msgspec import UnsetType

from kilonova.core.addresses import parse_mac, parse_network
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection
from kilonova.network import device_owners, errors
from kilonova.network.agent.dhcp import options as dhcp_options
from kilonova.network.agent.interface import ServerEvent
from kilonova.network.hosts.news import News
from kilonova.network.ipam.addresses import Want
from kilonova.network.ipam.ranges import automatic, made_of, parse_address, serves
from kilonova.network.resources.ports.schemas import COMING, VNIC_TYPES, AddressPairIn, DhcpOptIn, FixedIPIn
from kilonova.network.store.ports import BoundRow, PortRow
from kilonova.network.store.rbac_policies import EVERYONE
from kilonova.network.store.security_groups import GROUPS, GroupRow
from kilonova.network.store.subnets import SubnetRow

MAX_PAIRS, MAX_OPTS = 10, 64
COMPUTE = "compute:"
EVENTS = {
    "network-changed": "", "network-vif-deleted": "", "network-vif-plugged": "completed", "network-vif-unplugged": "completed",
}  # fmt: skip
"""Event → its status; "" for none."""


def wants(
    asked: Sequence[FixedIPIn] | UnsetType | None, subnets: Sequence[SubnetRow], mac: str, owner: str = ""
) -> list[Want]:
    """The addresses asked for; one of each IP version when nothing was said. A port other than a router's has the address of
    its MAC in each automatic subnet beside them. Only subnets that serve its owner count."""
    if subnets and asked != [] and not any(serves(subnet, owner) for subnet in subnets):
        raise errors.IpAddressGenerationFailureNoMatchingSubnet(network_id=subnets[0].network_id, service_type=owner)
    subnets = [subnet for subnet in subnets if serves(subnet, owner)]
    known = {} if owner == device_owners.INTERFACE else {subnet.id: subnet for subnet in subnets if automatic(subnet)}
    if isinstance(asked, UnsetType):
        versions = sorted({subnet.ip_version for subnet in subnets if subnet.id not in known})
        found = [Want(version=version, owner=owner) for version in versions]
    else:
        named = [_want(item, owner) for item in asked or []]
        found = [want for want in named if want.address is not None or want.subnet_id not in known]
    own = {made_of(subnet, mac): subnet for subnet in known.values()}
    particular = [want.address for want in found if want.address is not None]
    if len(set(particular)) < len(particular):
        raise errors.HTTPBadRequest(reason="Invalid input for fixed_ips. Reason: Duplicate IP address.")
    for address in particular:
        within = next((s for s in known.values() if address in parse_network(s.cidr)), None)
        if within is not None and address not in own:
            raise errors.AllocationOnAutoAddressSubnet(ip=address, subnet_id=within.id)
    found = [want for want in found if want.address not in own]
    return found + [Want(subnet_id=subnet.id, address=address) for address, subnet in own.items()]


def _want(item: FixedIPIn, owner: str) -> Want:
    if item.subnet_id is None and item.ip_address is None:
        raise errors.InvalidInput(reason="IP allocation requires subnet_id or ip_address")
    address = parse_address(item.ip_address, "fixed_ips") if item.ip_address is not None else None
    return Want(subnet_id=item.subnet_id, address=address, owner=owner)


def mac(text: str) -> str:
    """Lower case with colons. Raises a 400 for group addresses, which no guest can have."""
    try:
        found = parse_mac(text)
    except ValueError:
        found = ""
    if not found or int(found[:2], 16) & 1 or found == "00:00:00:00:00:00":
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for mac_address. Reason: '{text}' is not a valid MAC address."
        )
    return found


def pairs(asked: Sequence[AddressPairIn] | UnsetType | None, own_mac: str) -> list[tuple[str, str]]:
    """(ip_address or prefix, mac_address) pairs; the port's own MAC where none is named."""
    if isinstance(asked, UnsetType) or not asked:
        return []
    if len(asked) > MAX_PAIRS:
        raise errors.AllowedAddressPairExhausted(quota=MAX_PAIRS)
    found: list[tuple[str, str]] = []
    for item in asked:
        try:
            parse_network(item.ip_address)
        except ValueError:
            raise errors.HTTPBadRequest(
                reason=f"Invalid input for allowed_address_pairs. Reason: '{item.ip_address}' is neither a valid IP "
                "address, nor is it a valid IP subnet."
            ) from None
        pair = (item.ip_address, mac(item.mac_address) if item.mac_address else own_mac)
        if pair in found:
            raise errors.DuplicateAddressPairInRequest(ip_address=pair[0], mac_address=pair[1])
        found.append(pair)
    return found


def dhcp_opts(
    asked: Sequence[DhcpOptIn] | UnsetType | None, have: Iterable[tuple[str, str, int]] = ()
) -> list[tuple[str, str, int]]:
    """(name, value, IP version) of each option, with what is asked for set or, without a value, taken away."""
    kept = {(name, version): value for name, value, version in have}
    asked = [] if isinstance(asked, UnsetType) or asked is None else asked
    names = [(item.opt_name, item.ip_version) for item in asked]
    try:
        if len(set(names)) < len(names):
            raise ValueError("an option is named twice")
        for key, item in zip(names, asked, strict=True):
            if item.opt_value is None:
                kept.pop(key, None)
            else:
                dhcp_options.check(item.opt_name, item.opt_value, item.ip_version)
                kept[key] = item.opt_value
        if len(kept) > MAX_OPTS:
            raise ValueError(f"a port has at most {MAX_OPTS} options")
    except ValueError as why:
        raise errors.HTTPBadRequest(reason=f"Invalid input for extra_dhcp_opts. Reason: {why}.") from None
    return [(name, value, version) for (name, version), value in kept.items()]


def server_events(name: str, ports: Iterable[BoundRow]) -> list[ServerEvent]:
    """The events for compute about these ports: those whose device is a server's. A project may write any owner and device on its
    ports, so the device must be an id at least; callers see to it that a host has the port, which only compute brings about."""
    return [
        ServerEvent(name=name, server_uuid=port.device_id, tag=port.id, status=EVENTS[name])
        for port in ports
        if port.device_owner.startswith(COMPUTE) and _is_uuid(port.device_id)
    ]


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def profile(asked: dict[str, Any]) -> dict[str, Any]:
    """The columns that a binding's profile is kept in."""
    return {"profile": asked, "coming_host_id": str(asked.get(COMING) or "")[:255]}


def bound(row: PortRow, changes: dict[str, Any]) -> dict[str, Any]:
    """The columns that follow where a port is bound: on another host it is DOWN; its guest is on its way to none any more."""
    host = changes.get("host_id")
    if host is None or (host == row.host_id and "profile" in changes):
        return {}
    held = changes.get("profile", row.profile)
    values = profile({name: value for name, value in held.items() if name != COMING})
    return values if host == row.host_id else values | {"status": "DOWN"}


def check_vnic_type(vnic_type: str) -> None:
    if vnic_type not in VNIC_TYPES:
        raise errors.InvalidInput(reason=f"binding:vnic_type '{vnic_type}' is not supported, only 'normal' is")


def check_security(*, enabled: bool, groups: Sequence[str], pairs: Sequence[Any], groups_given: bool) -> None:
    """Groups and address pairs need port security."""
    if enabled:
        return
    if groups:
        raise (
            errors.PortSecurityAndIPRequiredForSecurityGroups()
            if groups_given
            else errors.PortSecurityPortHasSecurityGroup()
        )
    if pairs:
        raise errors.AddressPairAndPortSecurityRequired


def usable(group: GroupRow, projects: set[str | None]) -> bool:
    """Whether the group is shared with one of the projects."""
    return not projects.isdisjoint(group.shared_with) or EVERYONE in group.shared_with


def groups_once(groups: Sequence[str]) -> Sequence[str]:
    """The groups. Raises a 400 that names those that are there twice."""
    twice = sorted(group for group, count in Counter(groups).items() if count > 1)
    if twice:
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for security_groups. Reason: Duplicate items in the list: '{', '.join(twice)}'."
        )
    return groups


async def check_groups(
    connection: Connection, ctx: RequestContext, project_id: str, group_ids: Sequence[str]
) -> Mapping[str, GroupRow]:
    """The groups. Raises SecurityGroupNotFound for those that are not there or that the caller may not use."""
    if not group_ids:
        return {}
    known = await GROUPS.by_ids(connection, group_ids)
    for group_id in group_ids:
        group, projects = known.get(group_id), {project_id, ctx.project_id}
        if group is None or not (ctx.is_admin or projects & {group.project_id} or usable(group, projects)):
            raise errors.SecurityGroupNotFound(id=group_id)
    return known


def check_alike(group_ids: Sequence[str], known: Mapping[str, GroupRow]) -> None:
    """All groups of a port are stateful, or all stateless."""
    if len({known[group].stateful for group in group_ids if group in known}) > 1:
        raise errors.SecurityGroupConflict(reason="using both stateful and stateless security groups on one port")


class Owned(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def device_owner(self) -> str: ...


def news(ports: Iterable[Owned], network_ids: Iterable[str], *, others: bool = False) -> News:
    """For hosts with these ports, with filters that name them, or whose networks have come to other hosts. What is a router's
    changes the router."""
    found = list(ports)
    routed = any(port.device_owner in device_owners.OF_ROUTERS for port in found)
    return News(ports=tuple(port.id for port in found), networks=tuple(network_ids), others=others or routed)
