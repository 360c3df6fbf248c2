"""SQL of subnets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, Update, func, or_, select, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import prepared
from kilonova.network import device_owners
from kilonova.network.store import networks as network_store
from kilonova.network.store.objects import Objects, StandardRow
from kilonova.network.store.tags import Condition
from kilonova.network.tables import ip_allocations, networks, ports, router_ports, subnetpools, subnets


class SubnetRow(StandardRow):
    """`allocation_pools` holds [first, last], `host_routes` [destination, next hop]; the search for a free address continues at
    the number `search_from`; `born` is in microseconds."""

    network_id: str
    subnetpool_id: str | None
    ip_version: int
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool
    allocation_pools: list[list[str]]
    dns_nameservers: list[str]
    host_routes: list[list[str]]
    service_types: list[str]
    search_from: int
    ipv6_ra_mode: str | None
    ipv6_address_mode: str | None
    born: int


class PlacedRow(TypedRow):
    """A subnet on its network, with the address scope that its prefix is from."""

    network_id: str
    id: str
    ip_version: int
    address_scope_id: str | None


SUBNETS = Objects(subnets, SubnetRow)


def seen_by(project_id: str | None) -> Condition:
    seen = select(networks.c.id).where(network_store.seen_by(project_id))
    return or_(subnets.c.project_id == project_id, subnets.c.network_id.in_(seen))


def on_external(*, external: bool) -> Condition:
    """Subnets of networks that are external, or of those that are not."""
    return subnets.c.network_id.in_(select(networks.c.id).where(networks.c.external == external))


async def ids_of(connection: Connection, network_ids: Iterable[str]) -> dict[str, list[str]]:
    """Ids of subnets by network."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for row in (await connection.execute(*_ids_of(list(network_ids)))).all():
        found[row.network_id].append(row.id)
    return found


@prepared
def _ids_of(network_ids: Any) -> Select[Any]:
    query = select(subnets.c.network_id, subnets.c.id).where(subnets.c.network_id.in_(network_ids))
    return query.order_by(subnets.c.born, subnets.c.id)


async def of_networks(connection: Connection, network_ids: Iterable[str], *, lock: bool = False) -> Sequence[SubnetRow]:
    """Subnets of networks, oldest first; locked, so that allocations of addresses are serialized."""
    return rows.every(await connection.execute(*_of_networks(list(network_ids), lock=lock)), SubnetRow)


async def with_scopes(connection: Connection, network_ids: Iterable[str]) -> dict[str, list[PlacedRow]]:
    """By network, oldest first."""
    found: defaultdict[str, list[PlacedRow]] = defaultdict(list)
    for row in rows.every(await connection.execute(*_with_scopes(list(network_ids))), PlacedRow):
        found[row.network_id].append(row)
    return found


@prepared
def _with_scopes(network_ids: Any) -> Select[Any]:
    query = (
        select(subnets.c.network_id, subnets.c.id, subnets.c.ip_version, subnetpools.c.address_scope_id)
        .outerjoin(subnetpools, subnetpools.c.id == subnets.c.subnetpool_id)
        .where(subnets.c.network_id.in_(network_ids))
    )
    return query.order_by(subnets.c.born, subnets.c.id)


@prepared
def _of_networks(network_ids: Any, *, lock: bool) -> Select[Any]:
    query = select(subnets).where(subnets.c.network_id.in_(network_ids)).order_by(subnets.c.born, subnets.c.id)
    return locked(query) if lock else query


async def versions_on(connection: Connection, network_id: str) -> set[int]:
    """IP versions of a network's subnets."""
    query = select(subnets.c.ip_version).where(subnets.c.network_id == network_id).distinct()
    return set((await connection.execute(query)).scalars())


async def advance(connection: Connection, subnet_id: str, search_from: int) -> None:
    """Where the next search for a free address begins."""
    await connection.execute(*_advanced(subnet_id, search_from))


@prepared
def _advanced(subnet_id: Any, search_from: Any) -> Update:
    return update(subnets).where(subnets.c.id == subnet_id).values(search_from=search_from)


async def in_use(connection: Connection, subnet_id: str, *, automatic: bool) -> bool:
    """By ports other than DHCP's; in an automatic subnet only routers' count."""
    held = select(ip_allocations.c.port_id).where(ip_allocations.c.subnet_id == subnet_id)
    if automatic:
        query = held.join(router_ports, router_ports.c.port_id == ip_allocations.c.port_id)
        query = query.where(router_ports.c.owner == device_owners.INTERFACE)
    else:
        query = held.join(ports, ports.c.id == ip_allocations.c.port_id).where(
            ports.c.device_owner != device_owners.DHCP
        )
    return (await connection.execute(query.limit(1))).first() is not None


async def used_by_subnet(connection: Connection) -> dict[str, int]:
    """How many addresses are in use, by subnet."""
    query = select(ip_allocations.c.subnet_id, func.count().label("used")).group_by(ip_allocations.c.subnet_id)
    return {row.subnet_id: row.used for row in (await connection.execute(query)).all()}
