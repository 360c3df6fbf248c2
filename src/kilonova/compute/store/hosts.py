"""SQL of services, compute nodes and aggregates: what the scheduler reads of hosts, what the conductor writes of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, Text, Update, bindparam, cast, func, or_, select, union, update

from kilonova.compute.models import HostFacts
from kilonova.compute.tables import aggregate_hosts, aggregates, compute_nodes, server_groups, servers, services
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared

COMPUTE = "nova-compute"
LAST_SEEN = (
    select(services.c.host, services.c.last_seen, services.c.forced_down)
    .where(services.c.binary == COMPUTE)
    .join(compute_nodes, compute_nodes.c.host == services.c.host)
)
AGGREGATES = select(
    func.count(aggregates.c.id),
    func.max(aggregates.c.created_at),
    func.max(aggregates.c.updated_at),
    select(func.count(aggregate_hosts.c.id)).scalar_subquery(),
)


class SignOfLife(TypedRow):
    """The last of a host."""

    forced_down: bool
    last_seen: dt.datetime | None


class SeenRow(SignOfLife):
    host: str


class HostRow(SeenRow):
    """`facts` and `stats` are JSON text."""

    uuid: str
    hypervisor_hostname: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str | None
    facts: str
    stats: str
    disabled: bool


class NodeRow(SignOfLife):
    uuid: str
    hypervisor_hostname: str
    disabled: bool


class NodeKey(TypedRow):
    host: str
    uuid: str


class AggregateRow(TypedRow):
    """A host, and the metadata of an aggregate that it is in."""

    host: str
    metadata: dict[str, str]


class GroupRow(TypedRow):
    policy: str
    rules: dict[str, Any]


class MembersRow(TypedRow):
    host: str
    members: int


class NameRow(TypedRow):
    host: str


async def states(
    connection: Connection, *, since: dt.datetime | None = None, also: Sequence[str] = ()
) -> Sequence[HostRow]:
    """Every compute node with its service, or those that changed since then by more than a heartbeat, and `also` these hosts;
    `facts` and `stats` as JSON text."""
    return rows.every(await connection.execute(*_states(since, list(also), changed=since is not None)), HostRow)


@prepared
def _states(since: Any, also: Any, *, changed: bool) -> Select[Any]:
    n, s = compute_nodes.c, services.c
    query = (
        select(
            n.uuid,
            n.host,
            n.hypervisor_hostname,
            n.vcpus,
            n.memory_mb,
            n.disk_gb,
            n.hypervisor_type,
            n.hypervisor_version,
            n.host_ip,
            cast(n.facts, Text).label("facts"),
            cast(n.stats, Text).label("stats"),
            s.disabled,
            s.forced_down,
            s.last_seen,
        )
        .join(services, (s.host == n.host) & (s.binary == COMPUTE))
        .order_by(n.id)
    )
    if not changed:
        return query
    news = union(
        select(n.host).where(n.updated_at >= since),
        select(s.host).where(s.changed_at >= since, s.binary == COMPUTE),
    )
    return query.where(or_(n.host.in_(news), n.host.in_(also)))


async def last_seen(connection: Connection) -> dict[str, SeenRow]:
    """host → last_seen and forced_down, of every compute node."""
    return {row.host: row for row in rows.every(await connection.execute(LAST_SEEN), SeenRow)}


async def aggregates_version(connection: Connection) -> tuple[Any, ...]:
    """Another one after every change of aggregates, their metadata and their hosts."""
    return tuple((await connection.execute(AGGREGATES)).one())


async def aggregate_metadata(connection: Connection, host: str | None = None) -> Sequence[AggregateRow]:
    """(host, metadata) of every aggregate a host is in."""
    query = select(aggregate_hosts.c.host, aggregates.c.metadata).join(aggregates).order_by(aggregates.c.id)
    if host is not None:
        query = query.where(aggregate_hosts.c.host == host)
    return rows.every(await connection.execute(query), AggregateRow)


async def facts(connection: Connection, host: str) -> HostFacts:
    """What a host has said of itself; nothing where it is unknown."""
    found = (await connection.execute(select(compute_nodes.c.facts).where(compute_nodes.c.host == host))).scalar()
    return msgspec.convert(found or {}, HostFacts)


async def node(connection: Connection, host: str) -> NodeRow | None:
    """uuid, hypervisor_hostname, disabled, forced_down, last_seen of one host."""
    n, s = compute_nodes.c, services.c
    query = (
        select(n.uuid, n.hypervisor_hostname, s.disabled, s.forced_down, s.last_seen)
        .join(services, (s.host == n.host) & (s.binary == COMPUTE))
        .where(n.host == host)
    )
    return rows.first(await connection.execute(query), NodeRow)


async def group(connection: Connection, uuid: str, *, lock: bool = False) -> GroupRow | None:
    """policy and rules; with `lock`, other writers that ask for it wait."""
    query = select(server_groups.c.policy, server_groups.c.rules).where(server_groups.c.uuid == uuid)
    if lock:
        query = locked(query)
    return rows.first(await connection.execute(query), GroupRow)


async def group_hosts(connection: Connection, uuid: str, without: Sequence[str]) -> dict[str, int]:
    """host → members there; `without` are servers that don't count (being placed anew)."""
    query = (
        select(servers.c.host, func.count().label("members"))
        .where(
            servers.c.server_group_id == uuid,
            servers.c.deleted == 0,
            servers.c.host.is_not(None),
            servers.c.uuid.not_in(without),
        )
        .group_by(servers.c.host)
    )
    return {row.host: int(row.members) for row in rows.every(await connection.execute(query), MembersRow)}


async def server_hosts(connection: Connection, uuids: Sequence[str]) -> dict[str, str]:
    """uuid → host of servers that are not deleted."""
    query = select(servers.c.uuid, servers.c.host).where(
        servers.c.uuid.in_(uuids), servers.c.deleted == 0, servers.c.host.is_not(None)
    )
    return {row.uuid: row.host for row in rows.every(await connection.execute(query), NodeKey)}


async def put_service(connection: Connection, *, host: str, binary: str, uuid: str, now: dt.datetime) -> None:
    """Make the service known, or note that it was seen."""
    key = (services.c.host == host, services.c.binary == binary)
    changed = await connection.execute(update(services).where(*key).values(last_seen=now, changed_at=now))
    if changed.rowcount == 0:
        row = {"host": host, "binary": binary, "uuid": uuid, "last_seen": now, "created_at": now, "changed_at": now}
        await connection.execute(insert(services), row)


async def put_node(connection: Connection, host: str, values: dict[str, Any], now: dt.datetime) -> None:
    """Insert or update a host's node."""
    values = values | {"updated_at": now}
    changed = await connection.execute(update(compute_nodes).where(compute_nodes.c.host == host).values(**values))
    if changed.rowcount == 0:
        await connection.execute(insert(compute_nodes), values | {"host": host, "created_at": now})


async def seen(connection: Connection, hosts: Sequence[str], binaries: Sequence[str], now: dt.datetime) -> int:
    """Note a heartbeat of services that are known; how many they were."""
    return int((await connection.execute(*_seen(hosts, binaries, now))).rowcount)


@prepared
def _seen(hosts: Any, binaries: Any, now: Any) -> Update:
    return update(services).where(services.c.host.in_(hosts), services.c.binary.in_(binaries)).values(last_seen=now)


async def put_stats(connection: Connection, stats: dict[str, dict[str, Any]], now: dt.datetime) -> None:
    """host → HostStats of hosts where nothing else changed."""
    statement = (
        update(compute_nodes)
        .where(compute_nodes.c.host == bindparam("of_host"))
        .values(stats=bindparam("new_stats", type_=compute_nodes.c.stats.type), updated_at=now)
    )
    await connection.execute(statement, [{"of_host": host, "new_stats": held} for host, held in stats.items()])


async def alive(connection: Connection, hosts: Sequence[str], since: dt.datetime) -> set[str]:
    """Those of the hosts whose compute service was seen since then and is not forced down."""
    return {row.host for row in rows.every(await connection.execute(*_alive(hosts, since)), NameRow)}


@prepared
def _alive(hosts: Any, since: Any) -> Select[Any]:
    return select(services.c.host).where(
        services.c.host.in_(hosts),
        services.c.binary == COMPUTE,
        services.c.last_seen >= since,
        or_(services.c.forced_down.is_(False), services.c.forced_down.is_(None)),
    )


async def forced_down(connection: Connection, hosts: Sequence[str]) -> set[str]:
    """Those of the hosts of which an operator said that they are down."""
    query = select(services.c.host).where(
        services.c.host.in_(hosts), services.c.binary == COMPUTE, services.c.forced_down.is_(True)
    )
    return {row.host for row in rows.every(await connection.execute(query), NameRow)}
