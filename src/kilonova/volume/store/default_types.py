"""SQL of the volume types that projects have by default."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.volume.tables import default_types


class DefaultRow(TypedRow):
    project_id: str
    type_id: str


async def find(connection: Connection, project_id: str | None = None) -> Sequence[DefaultRow]:
    query = select(default_types).order_by(default_types.c.project_id)
    if project_id is not None:
        query = query.where(default_types.c.project_id == project_id)
    return rows.every(await connection.execute(query), DefaultRow)


async def put(connection: Connection, project_id: str, type_id: str) -> None:
    await remove(connection, project_id)
    await connection.execute(default_types.insert().values(project_id=project_id, type_id=type_id))


async def remove(connection: Connection, project_id: str) -> None:
    await connection.execute(delete(default_types).where(default_types.c.project_id == project_id))


async def drop_type(connection: Connection, type_id: str) -> None:
    await connection.execute(delete(default_types).where(default_types.c.type_id == type_id))
