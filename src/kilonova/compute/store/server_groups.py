"""SQL of server groups."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from kilonova.compute.tables import server_groups, servers
from kilonova.core.db import Connection, TypedRow, rows


class ServerGroupRow(TypedRow):
    id: int
    uuid: str
    name: str
    project_id: str
    user_id: str
    policy: str
    rules: dict[str, Any]
    created_at: dt.datetime


async def page(connection: Connection, project_id: str | None, *, limit: int, offset: int) -> Sequence[ServerGroupRow]:
    """Of a project, or of all (None)."""
    query = select(server_groups).order_by(server_groups.c.id).limit(limit).offset(offset)
    if project_id is not None:
        query = query.where(server_groups.c.project_id == project_id)
    return rows.every(await connection.execute(query), ServerGroupRow)


async def get(connection: Connection, uuid: str) -> ServerGroupRow | None:
    return rows.first(
        await connection.execute(select(server_groups).where(server_groups.c.uuid == uuid)), ServerGroupRow
    )


async def count(connection: Connection, project_id: str, user_id: str | None = None) -> int:
    """Of a project, or of one user in it."""
    query = select(func.count(server_groups.c.id)).where(server_groups.c.project_id == project_id)
    if user_id is not None:
        query = query.where(server_groups.c.user_id == user_id)
    return int((await connection.execute(query)).scalar_one())


async def add(connection: Connection, row: dict[str, Any]) -> None:
    await connection.execute(insert(server_groups).values(**row))


async def remove(connection: Connection, uuid: str) -> None:
    """Its servers live on, in no group."""
    await connection.execute(update(servers).where(servers.c.server_group_id == uuid).values(server_group_id=None))
    await connection.execute(delete(server_groups).where(server_groups.c.uuid == uuid))
