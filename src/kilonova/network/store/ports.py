"""SQL of ports and their addresses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, Update, and_, delete, exists, func, or_, select, tuple_, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared
from kilonova.network import device_owners
from kilonova.network.store.objects import ObjectRow, Objects, StandardRow
from kilonova.network.store.tags import Condition
from kilonova.network.tables import (
    floating_ips,
    ip_allocations,
    networks,
    port_forwardings,
    port_groups,
    ports,
    router_ports,
    subnets,
)


class BoundRow(ObjectRow):
    device_id: str
    device_owner: str
    status: str


class PortRow(BoundRow, StandardRow):
    """`allowed_address_pairs` holds [ip_address, mac_address], `extra_dhcp_opts` [name, value, IP version]."""

    network_id: str
    mac_address: str
    admin_state_up: bool
    port_security_enabled: bool
    allowed_address_pairs: list[list[str]]
    dns_name: str
    dns_domain: str
    extra_dhcp_opts: list[tuple[str, str, int]]
    host_id: str
    coming_host_id: str
    vnic_type: str
    profile: dict[str, Any]
    qos_policy_id: str | None
    trunk_id: str | None
    subport_of: str | None
    vlan: int | None


def is_on(row: PortRow, host: str) -> bool:
    """Whether the host shows the port: it is bound there, or about to be."""
    return host in (row.host_id, row.coming_host_id)


class PolicedPortRow(PortRow):
    """With its network's QoS policy."""

    qos_network_policy_id: str | None


class LedToRow(PolicedPortRow):
    """With how many floating IPs and port forwardings lead to it."""

    led_by: int


NETWORK_POLICY = (
    select(networks.c.qos_policy_id)
    .where(networks.c.id == ports.c.network_id)
    .scalar_subquery()
    .label("qos_network_policy_id")
)
PORTS = Objects(ports, PolicedPortRow, [NETWORK_POLICY])


class Allocation(TypedRow):
    """An address of a port."""

    port_id: str
    subnet_id: str
    ip_address: str


class NamedAllocation(Allocation):
    """With the domain of its network."""

    network_domain: str


class PlacedRow(BoundRow):
    host_id: str
    mac_address: str


Ports = Sequence[PlacedRow]


class MacRow(TypedRow):
    network_id: str
    mac_address: str


def seen_by(project_id: str | None) -> Condition:
    """A project sees its own ports and all ports of its own networks."""
    own = select(networks.c.id).where(networks.c.project_id == project_id)
    return or_(ports.c.project_id == project_id, ports.c.network_id.in_(own))


async def get(connection: Connection, port_id: str, *, lock: bool = False) -> LedToRow | None:
    """With `lock`, others that would lock or change it wait until the transaction ends."""
    return rows.first(await connection.execute(*_led_to(port_id, lock=lock)), LedToRow)


@prepared
def _led_to(port_id: Any, *, lock: bool) -> Select[Any]:
    leading = select(func.count()).where(floating_ips.c.fixed_port_id == ports.c.id).scalar_subquery()
    forwarded = select(func.count()).where(port_forwardings.c.internal_port_id == ports.c.id).scalar_subquery()
    query = PORTS.rows.add_columns((leading + forwarded).label("led_by")).where(ports.c.id == port_id)
    return locked(query, of=ports) if lock else query


def with_address(key: str, values: Sequence[str]) -> Condition:
    """`key` is subnet_id, ip_address or ip_address_substr."""
    column = ip_allocations.c.subnet_id if key == "subnet_id" else ip_allocations.c.ip_address
    match: Condition = column.in_(values)
    if key == "ip_address_substr":
        match = or_(*(column.contains(value, autoescape=True) for value in values))
    return exists().where(ip_allocations.c.port_id == ports.c.id, match)


def with_group(group_ids: Sequence[str]) -> Condition:
    return exists().where(port_groups.c.port_id == ports.c.id, port_groups.c.security_group_id.in_(group_ids))


async def addresses_of(connection: Connection, port_ids: Sequence[str]) -> dict[str, list[Allocation]]:
    """By port, in the order they were given out."""
    found: defaultdict[str, list[Allocation]] = defaultdict(list)
    for row in rows.every(await connection.execute(*_addresses(port_ids)), Allocation):
        found[row.port_id].append(row)
    return found


@prepared
def _addresses(port_ids: Any) -> Select[Any]:
    held = select(ip_allocations.c.port_id, ip_allocations.c.subnet_id, ip_allocations.c.ip_address)
    return held.where(ip_allocations.c.port_id.in_(port_ids)).order_by(ip_allocations.c.id)


async def named_addresses_of(connection: Connection, port_ids: Sequence[str]) -> dict[str, list[NamedAllocation]]:
    """The same, with what their names are made of."""
    found: defaultdict[str, list[NamedAllocation]] = defaultdict(list)
    for row in rows.every(await connection.execute(*_named_addresses(port_ids)), NamedAllocation):
        found[row.port_id].append(row)
    return found


@prepared
def _named_addresses(port_ids: Any) -> Select[Any]:
    held = select(
        ip_allocations.c.port_id, ip_allocations.c.subnet_id, ip_allocations.c.ip_address,
        networks.c.dns_domain.label("network_domain"),
    )  # fmt: skip
    joined = held.join(subnets, subnets.c.id == ip_allocations.c.subnet_id).join(
        networks, networks.c.id == subnets.c.network_id
    )
    return joined.where(ip_allocations.c.port_id.in_(port_ids)).order_by(ip_allocations.c.id)


async def groups_of(connection: Connection, port_ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids of security groups by port."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in (await connection.execute(*_groups(port_ids))).all():
        found[row.port_id].append(row.security_group_id)
    return found


@prepared
def _groups(port_ids: Any) -> Select[Any]:
    return select(port_groups).where(port_groups.c.port_id.in_(port_ids)).order_by(port_groups.c.security_group_id)


async def taken(connection: Connection, subnet_id: str, windows: Sequence[tuple[int, int]]) -> set[int]:
    """Addresses in use within any of the windows (first, last)."""
    within = [ip_allocations.c.address.between(first, last) for first, last in windows]
    query = select(ip_allocations.c.address).where(ip_allocations.c.subnet_id == subnet_id, or_(*within))
    return set((await connection.execute(query)).scalars())


async def macs_taken(connection: Connection, pairs: Sequence[tuple[str, str]], but: Sequence[str]) -> Sequence[MacRow]:
    """Those of these pairs (network_id, mac_address) that ports other than `but` have."""
    query = select(ports.c.network_id, ports.c.mac_address).where(
        tuple_(ports.c.network_id, ports.c.mac_address).in_(pairs), ports.c.id.not_in(but)
    )
    return rows.every(await connection.execute(query), MacRow)


async def give_addresses(connection: Connection, given: Sequence[dict[str, Any]]) -> None:
    if given:
        await connection.execute(insert(ip_allocations), list(given))


async def take_addresses(connection: Connection, port_id: str, subnet_id: str | None = None) -> None:
    """Give back a port's addresses, all or those of one subnet."""
    query = delete(ip_allocations).where(ip_allocations.c.port_id == port_id)
    if subnet_id is not None:
        query = query.where(ip_allocations.c.subnet_id == subnet_id)
    await connection.execute(query)


async def take_dhcp_addresses(connection: Connection, subnet_id: str) -> None:
    """Give back what ports of DHCP servers have in a subnet, the cloud's own and others."""
    servers = select(ports.c.id).where(ports.c.device_owner == device_owners.DHCP)
    await connection.execute(
        delete(ip_allocations).where(ip_allocations.c.subnet_id == subnet_id, ip_allocations.c.port_id.in_(servers))
    )


async def take_subnet(connection: Connection, subnet_id: str) -> None:
    """Give back all addresses of a subnet."""
    await connection.execute(delete(ip_allocations).where(ip_allocations.c.subnet_id == subnet_id))


async def inside(connection: Connection, subnet_id: str) -> Ports:
    """The ports that have an address in a subnet."""
    query = _placed().where(exists().where(*_held(subnet_id)))
    return rows.every(await connection.execute(query), PlacedRow)


async def outside(connection: Connection, network_id: str, subnet_id: str, but: Sequence[str]) -> Ports:
    """The network's ports that have none there, without those of the owners `but`."""
    query = _placed().where(ports.c.network_id == network_id, ports.c.device_owner.not_in(but))
    return rows.every(await connection.execute(query.where(~exists().where(*_held(subnet_id)))), PlacedRow)


def _placed() -> Select[Any]:
    names = ("id", "device_id", "device_owner", "status", "host_id", "mac_address")
    return select(*(ports.c[name] for name in names)).order_by(ports.c.id)


def _held(subnet_id: str) -> tuple[Condition, Condition]:
    return ip_allocations.c.port_id == ports.c.id, ip_allocations.c.subnet_id == subnet_id


async def take_address(connection: Connection, port_id: str, ip_addresses: Sequence[str]) -> None:
    await connection.execute(
        delete(ip_allocations).where(ip_allocations.c.port_id == port_id, ip_allocations.c.ip_address.in_(ip_addresses))
    )


async def set_groups(connection: Connection, port_id: str, group_ids: Sequence[str]) -> None:
    await connection.execute(delete(port_groups).where(port_groups.c.port_id == port_id))
    if group_ids:
        await connection.execute(
            insert(port_groups), [{"port_id": port_id, "security_group_id": group} for group in group_ids]
        )


async def add_groups(connection: Connection, pairs: Sequence[dict[str, str]]) -> None:
    if pairs:
        await connection.execute(insert(port_groups), list(pairs))


async def dhcp_port(connection: Connection, network_id: str, device_id: str) -> PortRow | None:
    query = select(ports).where(
        ports.c.network_id == network_id, ports.c.device_owner == device_owners.DHCP, ports.c.device_id == device_id
    )
    return rows.first(await connection.execute(query), PortRow)


async def of_router(connection: Connection, subnet_id: str, ip_address: str) -> str | None:
    """The id of the router's port that has an address."""
    query = (
        select(ip_allocations.c.port_id)
        .join(router_ports, router_ports.c.port_id == ip_allocations.c.port_id)
        .where(ip_allocations.c.subnet_id == subnet_id, ip_allocations.c.ip_address == ip_address)
    )
    return (await connection.execute(query)).scalar()


async def bound_to(connection: Connection, host: str, port_ids: Sequence[str]) -> Sequence[BoundRow]:
    """Those of the ports that are bound to the host."""
    return rows.every(await connection.execute(*_bound(host, port_ids)), BoundRow)


@prepared
def _bound(host: Any, port_ids: Any) -> Select[Any]:
    bound = select(ports.c.id, ports.c.device_id, ports.c.device_owner, ports.c.status)
    return bound.where(ports.c.id.in_(port_ids), ports.c.host_id == host)


async def set_status(connection: Connection, port_ids: Sequence[str], status: str, now: str) -> None:
    await connection.execute(*_status(port_ids, status, now))


@prepared
def _status(port_ids: Any, status: Any, now: Any) -> Update:
    return (
        update(ports)
        .where(and_(ports.c.id.in_(port_ids), ports.c.status != status))
        .values(status=status, updated_at=now, revision_number=ports.c.revision_number + 1)
    )
