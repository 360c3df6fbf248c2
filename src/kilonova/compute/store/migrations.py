"""SQL of migrations: servers' ways from host to host."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import and_, case, insert, or_, select, update

from kilonova.compute.models import Move, Progress
from kilonova.compute.moves import KINDS, LIVE_MIGRATION
from kilonova.compute.tables import migrations, servers
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked

ACCEPTED, DONE, COMPLETED, FAILED, ERROR = "accepted", "done", "completed", "failed", "error"
FINISHED, CONFIRMING, CONFIRMED, REVERTED = "finished", "confirming", "confirmed", "reverted"
CANCELLED = "cancelled"
RUNNING = tuple(dict.fromkeys(part.status for kind in KINDS.values() for part in kind.legs.values()))
OPEN = (ACCEPTED, *RUNNING)
HOLDING = (*OPEN, FINISHED)
UNSETTLED = (*HOLDING, CONFIRMING)
LEFT = {DONE: COMPLETED, CONFIRMING: CONFIRMED}
"""accepted: a host is looked for; RUNNING: one is at it; done: the server is there; completed: its old host has removed what
was left; error: no host could; failed: the server was deleted meanwhile. Of moves that wait for their user's word: finished: the
server is there; confirming, confirmed: the old host removes, has removed what was set aside; reverted: the server is where it
was; cancelled: an operator wanted the guest to stay.
HOLDING are those that a host can't leave; UNSETTLED those that hold a claim or a host's disk. LEFT: what is left → what it
is without."""
IN_PROGRESS = tuple(part.status for part in LIVE_MIGRATION.legs.values())
"""Of guests that run meanwhile; one that has no host yet is only ACCEPTED."""
AT_SOURCE = tuple({part.status for kind in KINDS.values() for part in kind.legs.values() if part.at_source})
AT_DEST = tuple({part.status for kind in KINDS.values() for part in kind.legs.values() if not part.at_source})


class MigrationRow(TypedRow):
    id: int
    uuid: str
    server_uuid: str
    type: str
    status: str
    request_id: str
    source_compute: str
    source_node: str | None
    dest_compute: str | None
    dest_node: str | None
    dest_host: str | None
    user_id: str | None
    project_id: str | None
    document: bytes
    left_at: str
    progress: bytes | None
    created_at: dt.datetime
    updated_at: dt.datetime


class LeftBehindRow(MigrationRow):
    """`at` is where the server is now, None when it is deleted. `left_at` is the host that is to remove what it has of it, where
    the status does not say so."""

    at: str | None
    network_info: list[dict[str, Any]] | None


class DestinationRow(TypedRow):
    server_uuid: str
    dest_compute: str


def encode(move: Move) -> bytes:
    return msgspec.msgpack.encode(move)


def decode(row: MigrationRow) -> Move:
    known = {"kind": row.type}  # which documents of the first evacuations do not name
    return msgspec.convert(known | msgspec.msgpack.decode(row.document), Move)


async def add(connection: Connection, row: dict[str, Any]) -> None:
    await connection.execute(insert(migrations).values(**row))


async def get(connection: Connection, uuid: str, *, lock: bool = False) -> MigrationRow | None:
    query = select(migrations).where(migrations.c.uuid == uuid)
    return rows.first(await connection.execute(locked(query) if lock else query), MigrationRow)


async def change(
    connection: Connection, uuid: str, statuses: Collection[str], values: dict[str, Any], *, source: str | None = None
) -> bool:
    """Compare-and-swap on the status, and on the host that the server left where `source` names one; True when it applied."""
    where = [migrations.c.uuid == uuid, migrations.c.status.in_(list(statuses))]
    if source is not None:
        where.append(migrations.c.source_compute == source)
    return (await connection.execute(update(migrations).where(*where).values(**values))).rowcount == 1


async def open_ones(
    connection: Connection, *, host: str | None = None, statuses: Collection[str] = OPEN
) -> Sequence[MigrationRow]:
    """Moves under way, of any host or of those that come from or go to one."""
    query = select(migrations).where(migrations.c.status.in_(list(statuses)))
    if host is not None:
        query = query.where(or_(migrations.c.source_compute == host, migrations.c.dest_compute == host))
    return rows.every(await connection.execute(query.order_by(migrations.c.id)), MigrationRow)


async def waiting(connection: Connection, server_uuid: str, *, lock: bool = False) -> MigrationRow | None:
    """The move of a server that waits for its user's word."""
    query = select(migrations).where(migrations.c.server_uuid == server_uuid, migrations.c.status == FINISHED)
    query = query.order_by(migrations.c.id.desc()).limit(1)
    return rows.first(await connection.execute(locked(query) if lock else query), MigrationRow)


async def open_of(connection: Connection, server_uuid: str) -> Sequence[MigrationRow]:
    """Moves of a server that are under way."""
    query = select(migrations).where(migrations.c.server_uuid == server_uuid, migrations.c.status.in_(OPEN))
    return rows.every(await connection.execute(query.order_by(migrations.c.id)), MigrationRow)


async def overtaken(connection: Connection, record: MigrationRow) -> bool:
    """Whether the server has begun another move since: an operator has set its state in between."""
    query = select(migrations.c.id).where(migrations.c.server_uuid == record.server_uuid, migrations.c.id > record.id)
    return (await connection.execute(query.limit(1))).first() is not None


async def unsettled(connection: Connection) -> set[str]:
    """uuids of the migrations that may hold a claim."""
    query = select(migrations.c.uuid).where(migrations.c.status.in_(UNSETTLED))
    return set((await connection.execute(query)).scalars())


async def destinations(connection: Connection, servers_: Collection[str]) -> dict[str, str]:
    """server → the host it is being brought up on."""
    table = migrations.c
    back = table.status.in_(["reverting"])
    query = select(
        table.server_uuid, case((back, table.source_compute), else_=table.dest_compute).label("dest_compute")
    ).where(table.server_uuid.in_(list(servers_)), table.status.in_(RUNNING), table.dest_compute.is_not(None))
    return {row.server_uuid: row.dest_compute for row in rows.every(await connection.execute(query), DestinationRow)}


async def left_behind(connection: Connection, host: str) -> Sequence[LeftBehindRow]:
    """Moves from a host, or to it, that are done, with `at`: where the server is now (None: deleted) and `network_info`."""
    query = (
        select(migrations, servers.c.host.label("at"), servers.c.network_info)
        .outerjoin(servers, (servers.c.uuid == migrations.c.server_uuid) & (servers.c.deleted == 0))
        .where(
            or_(
                and_(migrations.c.source_compute == host, migrations.c.status.in_(list(LEFT))),
                migrations.c.left_at == host,
            )
        )
    )
    return rows.every(await connection.execute(query.order_by(migrations.c.id)), LeftBehindRow)


async def removed(connection: Connection, uuid: str, host: str | None) -> None:
    """The host (None: the one that was to) has removed what it had of the move."""
    query = update(migrations).where(migrations.c.uuid == uuid, migrations.c.left_at != "")
    if host is not None:
        query = query.where(migrations.c.left_at == host)
    await connection.execute(query.values(left_at=""))


async def save_progress(connection: Connection, uuid: str, progress: Progress, now: dt.datetime) -> None:
    values = {"progress": msgspec.msgpack.encode(progress), "updated_at": now}
    await connection.execute(update(migrations).where(migrations.c.uuid == uuid).values(**values))


def progress_of(row: MigrationRow) -> Progress | None:
    return msgspec.msgpack.decode(row.progress, type=Progress) if row.progress is not None else None


async def numbered(connection: Connection, server_uuid: str, number: int, *, lock: bool = False) -> MigrationRow | None:
    """A server's migration by the number that clients see."""
    query = select(migrations).where(migrations.c.server_uuid == server_uuid, migrations.c.id == number)
    return rows.first(await connection.execute(locked(query) if lock else query), MigrationRow)


async def page(
    connection: Connection,
    filters: dict[str, str],
    *,
    host: str | None = None,
    since: dt.datetime | None = None,
    before: dt.datetime | None = None,
    after: MigrationRow | None = None,
    limit: int = 1000,
) -> Sequence[MigrationRow]:
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
    return rows.every(await connection.execute(query.order_by(table.id.desc()).limit(limit)), MigrationRow)
