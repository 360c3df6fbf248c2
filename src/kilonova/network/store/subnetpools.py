"""SQL of subnet pools, and of the prefixes that subnets have from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.network.store.objects import Objects, SharedRow, StandardRow
from kilonova.network.tables import subnetpools, subnets


class SubnetPoolRow(StandardRow, SharedRow):
    """`prefixes` are text without host bits, none overlaps another. `default_for` is the IP version of a default pool."""

    ip_version: int
    prefixes: list[str]
    min_prefixlen: int
    max_prefixlen: int
    default_prefixlen: int
    default_quota: int | None
    is_default: bool
    default_for: int | None
    address_scope_id: str | None


class TakenRow(TypedRow):
    """A prefix that a subnet has from a pool."""

    subnetpool_id: str
    project_id: str
    cidr: str


SUBNETPOOLS = Objects(subnetpools, SubnetPoolRow)


async def in_scope(connection: Connection, scope_id: str) -> Sequence[SubnetPoolRow]:
    query = select(subnetpools).where(subnetpools.c.address_scope_id == scope_id)
    return rows.every(await connection.execute(query), SubnetPoolRow)


async def default(connection: Connection, ip_version: int) -> SubnetPoolRow | None:
    """The default pool of an IP version."""
    query = select(subnetpools).where(subnetpools.c.default_for == ip_version)
    return rows.first(await connection.execute(query), SubnetPoolRow)


async def lock(connection: Connection, pool_ids: Iterable[str]) -> dict[str, SubnetPoolRow]:
    """By id. Until the transaction ends nothing else takes prefixes from these pools, or changes them."""
    query = select(subnetpools).where(subnetpools.c.id.in_(sorted(set(pool_ids)))).order_by(subnetpools.c.id)
    return {row.id: row for row in rows.every(await connection.execute(locked(query)), SubnetPoolRow)}


async def taken_from(connection: Connection, pool_ids: Iterable[str]) -> Sequence[TakenRow]:
    query = select(subnets.c.subnetpool_id, subnets.c.project_id, subnets.c.cidr)
    return rows.every(await connection.execute(query.where(subnets.c.subnetpool_id.in_(list(pool_ids)))), TakenRow)


async def users_of(connection: Connection, pool_id: str) -> set[str]:
    """Projects that have subnets from the pool."""
    query = select(subnets.c.project_id).where(subnets.c.subnetpool_id == pool_id)
    return set((await connection.execute(query.distinct())).scalars())


async def mixed(connection: Connection, pool_id: str, ip_version: int) -> bool:
    """Whether a network has subnets of this IP version from the pool and others."""
    networks = select(subnets.c.network_id).where(subnets.c.subnetpool_id == pool_id)
    others = (subnets.c.subnetpool_id.is_(None)) | (subnets.c.subnetpool_id != pool_id)
    query = select(subnets.c.id).where(subnets.c.network_id.in_(networks), subnets.c.ip_version == ip_version, others)
    return (await connection.execute(query.limit(1))).first() is not None
