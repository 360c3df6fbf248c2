"""SQL of server faults."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Any

from sqlalchemy import func, insert, select

from kilonova.compute.tables import server_faults
from kilonova.core.db import Connection, TypedRow, rows


class FaultRow(TypedRow):
    id: int
    server_uuid: str
    code: int
    message: str
    details: str | None
    host: str | None
    created_at: dt.datetime


async def add(connection: Connection, row: dict[str, Any]) -> None:
    """server_uuid, code, message (≤ 255), details, host, created_at."""
    await connection.execute(insert(server_faults).values(**row))


async def latest(connection: Connection, uuids: Collection[str]) -> dict[str, FaultRow]:
    """server uuid → its newest fault."""
    newest = (
        select(func.max(server_faults.c.id))
        .where(server_faults.c.server_uuid.in_(list(uuids)))
        .group_by(server_faults.c.server_uuid)
    )
    query = select(server_faults).where(server_faults.c.id.in_(newest))
    return {row.server_uuid: row for row in rows.every(await connection.execute(query), FaultRow)}
