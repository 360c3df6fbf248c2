"""SQL of servers. Every change of state is a compare-and-swap; the living have `deleted` = 0."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, insert, or_, select, update

from kilonova.compute.tables import servers
from kilonova.core.db import Connection, Row
from kilonova.core.db.locks import locked


async def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """All rows in one statement."""
    await connection.execute(insert(servers), rows)


async def get(connection: Connection, uuid: str, *, deleted: bool = False, lock: bool = False) -> Row | None:
    """The living server of this uuid; with `deleted` also one that is gone. With `lock` nobody else changes it before the
    transaction ends."""
    query = select(servers).where(servers.c.uuid == uuid)
    if not deleted:
        query = query.where(servers.c.deleted == 0)
    return (await connection.execute(locked(query) if lock else query)).first()


async def get_many(connection: Connection, uuids: Collection[str]) -> Sequence[Row]:
    """Living servers, in no order."""
    query = select(servers).where(servers.c.uuid.in_(list(uuids)), servers.c.deleted == 0)
    return (await connection.execute(query)).all()


async def change(
    connection: Connection,
    uuid: str,
    values: dict[str, Any],
    now: dt.datetime,
    *,
    vm_states: Collection[str] | None = None,
    task_states: Collection[str | None] | None = None,
    host: str | None = None,
) -> bool:
    """Compare-and-swap of a living server: applied only while its state is among the expected ones; False otherwise."""
    query = update(servers).where(servers.c.uuid == uuid, servers.c.deleted == 0)
    if vm_states is not None:
        query = query.where(servers.c.vm_state.in_(list(vm_states)))
    if task_states is not None:
        query = query.where(_task_state_among(task_states))
    if host is not None:
        query = query.where(servers.c.host == host)
    result = await connection.execute(query.values(updated_at=now, **values))
    return result.rowcount == 1


def _task_state_among(task_states: Collection[str | None]) -> ColumnElement[bool]:
    named = servers.c.task_state.in_([state for state in task_states if state is not None])
    return or_(named, servers.c.task_state.is_(None)) if None in task_states else named


async def usage(connection: Connection, project_id: str, user_id: str | None = None) -> tuple[int, int, int]:
    """(instances, cores, MiB of memory) of the living servers of a project, or of one user in it."""
    query = select(
        func.count(servers.c.id),
        func.coalesce(func.sum(servers.c.vcpus), 0),
        func.coalesce(func.sum(servers.c.memory_mb), 0),
    ).where(servers.c.project_id == project_id, servers.c.deleted == 0)
    if user_id is not None:
        query = query.where(servers.c.user_id == user_id)
    row = (await connection.execute(query)).one()
    return int(row[0]), int(row[1]), int(row[2])


async def group_members(connection: Connection, group_ids: Collection[str]) -> dict[str, list[str]]:
    """server group uuid → uuids of its living servers."""
    query = (
        select(servers.c.server_group_id, servers.c.uuid)
        .where(servers.c.server_group_id.in_(list(group_ids)), servers.c.deleted == 0)
        .order_by(servers.c.id)
    )
    found: dict[str, list[str]] = {}
    for row in (await connection.execute(query)).all():
        found.setdefault(row.server_group_id, []).append(row.uuid)
    return found


async def on_hosts(connection: Connection, hosts: Collection[str]) -> dict[str, list[tuple[str, int]]]:
    """host → (uuid, number) of its living servers."""
    query = (
        select(servers.c.host, servers.c.uuid, servers.c.id)
        .where(servers.c.host.in_(list(hosts)), servers.c.deleted == 0)
        .order_by(servers.c.id)
    )
    found: dict[str, list[tuple[str, int]]] = {}
    for row in (await connection.execute(query)).all():
        found.setdefault(row.host, []).append((row.uuid, row.id))
    return found
