"""SQL of migrations: servers' ways from host to host."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, or_, select, update

from kilonova.compute.models import Move
from kilonova.compute.tables import migrations, servers
from kilonova.core.db import Connection, Row
from kilonova.core.db.locks import locked

ACCEPTED, RUNNING, DONE = "accepted", "pre-migrating", "done"
COMPLETED, FAILED, ERROR = "completed", "failed", "error"
OPEN = (ACCEPTED, RUNNING)
"""accepted: a host is looked for; pre-migrating: one is at it; done: the server is there; completed: its old host has
removed what was left; error: no host could; failed: the server was deleted meanwhile."""


def encode(move: Move) -> bytes:
    return msgspec.msgpack.encode(move)


def decode(row: Row) -> Move:
    known = {"kind": row.type}  # which documents of the first evacuations do not name
    return msgspec.convert(known | msgspec.msgpack.decode(row.document), Move)


async def add(connection: Connection, row: dict[str, Any]) -> None:
    await connection.execute(insert(migrations).values(**row))


async def get(connection: Connection, uuid: str, *, lock: bool = False) -> Row | None:
    query = select(migrations).where(migrations.c.uuid == uuid)
    return (await connection.execute(locked(query) if lock else query)).first()


async def change(
    connection: Connection, uuid: str, statuses: Collection[str], values: dict[str, Any], *, source: str | None = None
) -> bool:
    """Compare-and-swap on the status, and on the host that the server left where `source` names one; True when it applied."""
    where = [migrations.c.uuid == uuid, migrations.c.status.in_(list(statuses))]
    if source is not None:
        where.append(migrations.c.source_compute == source)
    return (await connection.execute(update(migrations).where(*where).values(**values))).rowcount == 1


async def open_ones(connection: Connection, *, host: str | None = None) -> Sequence[Row]:
    """Moves under way, of any host or of those that come from or go to one."""
    query = select(migrations).where(migrations.c.status.in_(OPEN))
    if host is not None:
        query = query.where(or_(migrations.c.source_compute == host, migrations.c.dest_compute == host))
    return (await connection.execute(query.order_by(migrations.c.id))).all()


async def destinations(connection: Connection, servers_: Collection[str]) -> dict[str, str]:
    """server → the host it is being brought up on."""
    table = migrations.c
    query = select(table.server_uuid, table.dest_compute).where(
        table.server_uuid.in_(list(servers_)), table.status == RUNNING
    )
    return {row.server_uuid: row.dest_compute for row in (await connection.execute(query)).all()}


async def left_behind(connection: Connection, host: str) -> Sequence[Row]:
    """Moves from a host that are done, with `at`: where the server is now (None: deleted) and `network_info`."""
    query = (
        select(migrations, servers.c.host.label("at"), servers.c.network_info)
        .outerjoin(servers, (servers.c.uuid == migrations.c.server_uuid) & (servers.c.deleted == 0))
        .where(migrations.c.source_compute == host, migrations.c.status == DONE)
    )
    return (await connection.execute(query.order_by(migrations.c.id))).all()


async def page(
    connection: Connection,
    filters: dict[str, str],
    *,
    host: str | None = None,
    since: dt.datetime | None = None,
    before: dt.datetime | None = None,
    after: Row | None = None,
    limit: int = 1000,
) -> Sequence[Row]:
    """The newest first; `filters` are columns' values, `host` is source or destination."""
    table = migrations.c
    query = select(migrations).where(*(getattr(table, name) == value for name, value in filters.items()))
    if host is not None:
        query = query.where(or_(table.source_compute == host, table.dest_compute == host))
    if since is not None:
        query = query.where(table.updated_at >= since)
    if before is not None:
        query = query.where(table.updated_at <= before)
    if after is not None:
        query = query.where(table.id < after.id)
    return (await connection.execute(query.order_by(table.id.desc()).limit(limit))).all()
