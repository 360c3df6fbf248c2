"""SQL of projects that ever made something here: their default groups."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared
from kilonova.network.tables import projects


class ProjectRow(TypedRow):
    project_id: str
    default_group_id: str


async def add(connection: Connection, project_id: str, default_group_id: str) -> None:
    row = {"project_id": project_id, "default_group_id": default_group_id}
    await connection.execute(insert(projects), [row])


async def get(connection: Connection, project_id: str, *, lock: bool = False) -> ProjectRow | None:
    """The project's row; locked, so that creations for it are serialized."""
    return rows.first(await connection.execute(*_one(project_id, lock=lock)), ProjectRow)


@prepared
def _one(project_id: Any, *, lock: bool) -> Select[Any]:
    query = select(projects).where(projects.c.project_id == project_id)
    return locked(query) if lock else query


async def is_default(connection: Connection, group_id: str) -> bool:
    query = select(projects.c.project_id).where(projects.c.default_group_id == group_id)
    return (await connection.execute(query)).first() is not None


async def leave(connection: Connection, group_id: str) -> None:
    """The project of this default group has none any more."""
    await connection.execute(delete(projects).where(projects.c.default_group_id == group_id))
