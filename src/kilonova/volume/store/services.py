"""SQL of services (conductors and back ends) and of pools."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, select, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.volume.tables import pools, services

BACKEND, CONDUCTOR = "cinder-volume", "cinder-scheduler"
"""The names that clients know: of back ends, and of conductors."""


class ServiceRow(TypedRow):
    host: str
    binary: str
    uuid: str
    disabled: bool
    disabled_reason: str | None
    frozen: bool
    availability_zone: str
    created_at: dt.datetime
    changed_at: dt.datetime | None
    last_seen: dt.datetime | None


class PoolRow(TypedRow):
    """`capabilities` is JSON; sizes are GiB."""

    name: str
    service: str
    total_gb: float
    free_gb: float
    capabilities: str
    reported_at: dt.datetime


def is_up(row: ServiceRow, now: dt.datetime, down_time: float) -> bool:
    return row.last_seen is not None and (now - row.last_seen).total_seconds() <= down_time


async def find(connection: Connection, **equal: Any) -> Sequence[ServiceRow]:
    query = select(services).where(*(services.c[name] == value for name, value in equal.items()))
    ordered = query.order_by(services.c.binary, services.c.host)
    return rows.every(await connection.execute(ordered), ServiceRow)


async def seen(connection: Connection, host: str, binary: str, zone: str, now: dt.datetime, uuid: str) -> None:
    """Note that a service is up; `uuid` is for one that is new."""
    found = update(services).where(services.c.host == host, services.c.binary == binary)
    known = await connection.execute(found.values(last_seen=now, availability_zone=zone))
    if not known.rowcount:
        new = {"disabled": False, "frozen": False, "availability_zone": zone, "created_at": now, "last_seen": now}
        await connection.execute(services.insert().values(host=host, binary=binary, uuid=uuid, **new))


async def change(connection: Connection, host: str, binary: str, values: dict[str, Any]) -> bool:
    where = (services.c.host == host, services.c.binary == binary)
    return bool((await connection.execute(update(services).where(*where).values(**values))).rowcount)


async def all_pools(connection: Connection) -> Sequence[PoolRow]:
    return rows.every(await connection.execute(select(pools).order_by(pools.c.name)), PoolRow)


async def put_pools(connection: Connection, service: str, reported: Sequence[dict[str, Any]]) -> None:
    """The pools of a back end are these."""
    known = select(pools.c.name).where(pools.c.service == service)
    names = set((await connection.execute(known)).scalars())
    for values in reported:
        change = update(pools).where(pools.c.name == values["name"]) if values["name"] in names else pools.insert()
        await connection.execute(change.values(**values))
    if gone := names - {values["name"] for values in reported}:
        await connection.execute(delete(pools).where(pools.c.name.in_(gone)))
