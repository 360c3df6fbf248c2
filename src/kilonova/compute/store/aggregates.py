"""SQL of host aggregates. An availability zone is a key of an aggregate's metadata."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from kilonova.compute.tables import aggregate_hosts, aggregates
from kilonova.core.db import Connection, TypedRow, rows


class AggregateRow(TypedRow):
    id: int
    uuid: str
    name: str
    metadata: dict[str, str]
    created_at: dt.datetime
    updated_at: dt.datetime | None


class MemberRow(TypedRow):
    aggregate_id: int
    host: str


class ZoneRow(TypedRow):
    """A host, and the metadata of an aggregate that it is in."""

    host: str
    metadata: dict[str, str]


async def all_of(connection: Connection) -> Sequence[AggregateRow]:
    return rows.every(await connection.execute(select(aggregates).order_by(aggregates.c.id)), AggregateRow)


async def get(connection: Connection, aggregate_id: int) -> AggregateRow | None:
    return rows.first(await connection.execute(select(aggregates).where(aggregates.c.id == aggregate_id)), AggregateRow)


async def named(connection: Connection, name: str) -> AggregateRow | None:
    return rows.first(await connection.execute(select(aggregates).where(aggregates.c.name == name)), AggregateRow)


async def hosts(connection: Connection) -> dict[int, list[str]]:
    """aggregate id → hosts."""
    found: dict[int, list[str]] = {}
    query = select(aggregate_hosts.c.aggregate_id, aggregate_hosts.c.host).order_by(aggregate_hosts.c.id)
    for row in rows.every(await connection.execute(query), MemberRow):
        found.setdefault(row.aggregate_id, []).append(row.host)
    return found


async def host_zones(connection: Connection) -> dict[str, str]:
    """host → availability zone, for the hosts that an aggregate gives one."""
    query = select(aggregate_hosts.c.host, aggregates.c.metadata).join(
        aggregates, aggregates.c.id == aggregate_hosts.c.aggregate_id
    )
    found = [
        (row.host, row.metadata.get("availability_zone"))
        for row in rows.every(await connection.execute(query), ZoneRow)
    ]
    return {host: zone for host, zone in found if zone}


async def add(connection: Connection, row: dict[str, Any]) -> None:
    await connection.execute(insert(aggregates).values(**row))


async def change(connection: Connection, aggregate_id: int, values: dict[str, Any]) -> None:
    await connection.execute(update(aggregates).where(aggregates.c.id == aggregate_id).values(**values))


async def remove(connection: Connection, aggregate_id: int) -> None:
    await connection.execute(delete(aggregates).where(aggregates.c.id == aggregate_id))


async def add_host(connection: Connection, aggregate_id: int, host: str) -> None:
    await connection.execute(insert(aggregate_hosts).values(aggregate_id=aggregate_id, host=host))


async def remove_host(connection: Connection, aggregate_id: int, host: str) -> bool:
    query = delete(aggregate_hosts).where(
        aggregate_hosts.c.aggregate_id == aggregate_id, aggregate_hosts.c.host == host
    )
    return (await connection.execute(query)).rowcount == 1
