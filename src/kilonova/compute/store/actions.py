"""SQL of what was done to servers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from kilonova.compute.tables import server_actions
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import insert


class ActionRow(TypedRow):
    id: int
    server_uuid: str
    request_id: str
    action: str
    user_id: str | None
    project_id: str | None
    message: str | None
    started_at: dt.datetime
    finished_at: dt.datetime | None


async def begin(connection: Connection, rows: list[dict[str, Any]]) -> None:
    """server_uuid, request_id, action, user_id, project_id, started_at of each, in one statement."""
    await connection.execute(insert(server_actions), rows)


async def of_server(
    connection: Connection,
    server_uuid: str,
    *,
    limit: int,
    marker: str | None = None,
    since: dt.datetime | None = None,
    before: dt.datetime | None = None,
) -> Sequence[ActionRow]:
    """Newest first, after the action of request `marker`."""
    table = server_actions.c
    changed = func.coalesce(table.finished_at, table.started_at)
    query = select(server_actions).where(table.server_uuid == server_uuid)
    if marker is not None:
        at = select(func.min(table.id)).where(table.server_uuid == server_uuid, table.request_id == marker)
        query = query.where(table.id < at.scalar_subquery())
    if since is not None:
        query = query.where(changed >= since)
    if before is not None:
        query = query.where(changed <= before)
    return rows.every(await connection.execute(query.order_by(table.id.desc()).limit(limit)), ActionRow)


async def of_request(connection: Connection, server_uuid: str, request_id: str) -> ActionRow | None:
    query = select(server_actions).where(
        server_actions.c.server_uuid == server_uuid, server_actions.c.request_id == request_id
    )
    return rows.first(await connection.execute(query.order_by(server_actions.c.id.desc())), ActionRow)
