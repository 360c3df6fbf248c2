"""SQL of routers and of their ports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, func, select, union, update

from kilonova.core.db import Connection, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared
from kilonova.network import device_owners
from kilonova.network.store.objects import Objects, StandardRow
from kilonova.network.store.ports import PortRow
from kilonova.network.store.subnets import SubnetRow
from kilonova.network.tables import (
    floating_ips,
    ip_allocations,
    networks,
    ports,
    router_ports,
    routers,
    subnetpools,
    subnets,
)


class RouterRow(StandardRow):
    """`routes` holds [destination, nexthop]; `host_id` is "" while no host makes it, and it is `withdrawn` where an administrator
    wanted that."""

    admin_state_up: bool
    status: str
    host_id: str
    withdrawn: bool
    gateway_port_id: str | None
    gateway_network_id: str | None
    enable_snat: bool
    routes: list[list[str]]
    availability_zone_hints: list[str]


class RouterPortRow(PortRow):
    """A port of a router; `owner` is network:router_interface or network:router_gateway."""

    router_id: str
    owner: str


class PlacedAddress(SubnetRow):
    """An address of a port, with its subnet's columns and the address scope that the subnet's prefix is from."""

    port_id: str
    ip_address: str
    address_scope_id: str | None


ROUTERS = Objects(routers, RouterRow)


async def ports_of(connection: Connection, router_ids: Sequence[str]) -> dict[str, list[RouterPortRow]]:
    """By router, oldest first."""
    found: defaultdict[str, list[RouterPortRow]] = defaultdict(list)
    for row in rows.every(await connection.execute(*_ports(router_ids)), RouterPortRow):
        found[row.router_id].append(row)
    return found


@prepared
def _ports(router_ids: Any) -> Select[Any]:
    query = select(router_ports.c.router_id, router_ports.c.owner, ports).join(
        ports, ports.c.id == router_ports.c.port_id
    )
    return query.where(router_ports.c.router_id.in_(router_ids)).order_by(ports.c.created_at, ports.c.id)


async def addresses_of(connection: Connection, port_ids: Sequence[str]) -> Sequence[PlacedAddress]:
    """In the order they were given out."""
    return rows.every(await connection.execute(*_addresses(port_ids)), PlacedAddress)


@prepared
def _addresses(port_ids: Any) -> Select[Any]:
    query = (
        select(ip_allocations.c.port_id, ip_allocations.c.ip_address, subnets, subnetpools.c.address_scope_id)
        .join(subnets, subnets.c.id == ip_allocations.c.subnet_id)
        .outerjoin(subnetpools, subnetpools.c.id == subnets.c.subnetpool_id)
    )
    return query.where(ip_allocations.c.port_id.in_(port_ids)).order_by(ip_allocations.c.id)


async def hosts_of_pool(connection: Connection, pool_id: str) -> set[str]:
    """Where routers are made that have a port on a subnet from the pool."""
    query = (
        select(ports.c.host_id)
        .join(router_ports, router_ports.c.port_id == ports.c.id)
        .join(ip_allocations, ip_allocations.c.port_id == ports.c.id)
        .join(subnets, subnets.c.id == ip_allocations.c.subnet_id)
        .where(subnets.c.subnetpool_id == pool_id, ports.c.host_id != "")
    )
    return set((await connection.execute(query.distinct())).scalars())


async def hosts_of(connection: Connection, router_ids: Iterable[str | None]) -> set[str]:
    """Where these routers are made."""
    found = await ROUTERS.by_ids(connection, [one for one in router_ids if one])
    return {router.host_id for router in found.values()}


async def add_port(connection: Connection, router_id: str, port_id: str, owner: str) -> None:
    row = {"router_id": router_id, "port_id": port_id, "owner": owner}
    await connection.execute(insert(router_ports), [row])


async def router_of_port(connection: Connection, port_id: str) -> str | None:
    """The router whose port it is."""
    query = select(router_ports.c.router_id).where(router_ports.c.port_id == port_id)
    return (await connection.execute(query)).scalar()


async def gateway_owners(connection: Connection, network_id: str) -> set[str]:
    """Projects whose routers have their gateway, or whose floating IPs their address, on the network."""
    query = union(
        select(routers.c.project_id).where(routers.c.gateway_network_id == network_id),
        select(floating_ips.c.project_id).where(floating_ips.c.floating_network_id == network_id),
    )
    return set((await connection.execute(query)).scalars())


async def leading_to(
    connection: Connection, network_id: str, subnet_id: str, external_id: str, gateway_ip: str | None
) -> RouterRow | None:
    """A router with an interface on the subnet and its gateway on the external network; the one that is the subnet's own
    gateway first."""
    query = (
        select(routers)
        .join(router_ports, router_ports.c.router_id == routers.c.id)
        .join(ports, ports.c.id == router_ports.c.port_id)
        .join(ip_allocations, ip_allocations.c.port_id == ports.c.id)
        .where(
            ports.c.network_id == network_id, ip_allocations.c.subnet_id == subnet_id,
            router_ports.c.owner == device_owners.INTERFACE, routers.c.gateway_network_id == external_id,
        )
        .order_by(ip_allocations.c.ip_address != (gateway_ip or ""), routers.c.id)
    )  # fmt: skip
    return rows.first(await connection.execute(query.limit(1)), RouterRow)


async def locked_leading_to(connection: Connection, address: PlacedAddress, external_id: str) -> RouterRow | None:
    """The same, of an address; until the transaction ends it loses neither its interface nor its gateway."""
    where = (address.network_id, address.id, external_id, address.gateway_ip)
    found = await leading_to(connection, *where)
    if found is None:
        return None
    await ROUTERS.get(connection, found.id, lock=True)
    now = await leading_to(connection, *where)
    return now if now is not None and now.id == found.id else None


async def unplaced(connection: Connection, mapped: Sequence[str]) -> Sequence[RouterRow]:
    """Routers that no host makes, and that are on no other physical networks than these: up to 200, locked. Those that an
    administrator took from their host wait for a change of theirs."""
    return rows.every(await connection.execute(*_unplaced("", mapped)), RouterRow)


@prepared
def _unplaced(host: Any, mapped: Any) -> Select[Any]:
    elsewhere = (
        select(router_ports.c.router_id)
        .join(ports, ports.c.id == router_ports.c.port_id)
        .join(networks, networks.c.id == ports.c.network_id)
        .where(networks.c.physical_network.is_not(None), networks.c.physical_network.not_in(mapped))
    )
    free = routers.c.host_id == host, ~routers.c.withdrawn, routers.c.id.not_in(elsewhere)
    return locked(select(routers).where(*free).order_by(routers.c.id).limit(200))


async def count_by_host(connection: Connection) -> dict[str, int]:
    query = select(routers.c.host_id, func.count().label("routers")).group_by(routers.c.host_id)
    return {row.host_id: row.routers for row in (await connection.execute(query)).all()}


async def bind_ports(connection: Connection, port_ids: Sequence[str], host: str, now: str) -> None:
    """They are DOWN until the host reports them."""
    values = {"host_id": host, "status": "DOWN", "updated_at": now}
    change = update(ports).where(ports.c.id.in_(port_ids))
    await connection.execute(change.values(**values, revision_number=ports.c.revision_number + 1))


async def on_host(connection: Connection, host: str) -> Sequence[RouterRow]:
    return rows.every(await connection.execute(*_on_host(host)), RouterRow)


@prepared
def _on_host(host: Any) -> Select[Any]:
    return select(routers).where(routers.c.host_id == host).order_by(routers.c.id)


async def place(connection: Connection, router_ids: Sequence[str], host: str, *, withdrawn: bool = False) -> None:
    change = update(routers).where(routers.c.id.in_(router_ids))
    await connection.execute(change.values(host_id=host, withdrawn=withdrawn))
