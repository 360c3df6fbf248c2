"""SQL of volume types, and who may use those that are not public."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import delete, or_, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.volume.list_query import ListQuery
from kilonova.volume.store import default_types, encryption, items
from kilonova.volume.store.base import Condition, KeyRow, Rows
from kilonova.volume.tables import type_access, volume_types, volumes


class TypeRow(KeyRow):
    name: str
    description: str | None
    is_public: bool
    qos_specs_id: str | None
    created_at: dt.datetime
    updated_at: dt.datetime | None


class AccessRow(TypedRow):
    type_id: str
    project_id: str


TYPES = Rows(volume_types, TypeRow)


def visible(project_id: str | None) -> Condition:
    """Public types, and those that the project was given."""
    given = select(type_access.c.type_id).where(type_access.c.project_id == project_id)
    return or_(volume_types.c.is_public, volume_types.c.id.in_(given))


async def page(connection: Connection, query: ListQuery, *, seen_by: str | None) -> Sequence[TypeRow] | None:
    """`seen_by`: the project that lists them; None for an operator, who sees all."""
    more = items.having(volume_types.c.id, items.EXTRA_SPECS, query.metadata)
    return await TYPES.page(connection, query, *more, *([] if seen_by is None else [visible(seen_by)]))


async def named(connection: Connection, name_or_id: str, *, seen_by: str | None = None) -> TypeRow | None:
    """The type with this id, or else this name."""
    more = [] if seen_by is None else [visible(seen_by)]
    found = await TYPES.find(connection, or_(volume_types.c.id == name_or_id, volume_types.c.name == name_or_id), *more)
    return next((row for row in found if row.id == name_or_id), found[0] if found else None)


async def by_id(connection: Connection, type_ids: Iterable[str]) -> dict[str, TypeRow]:
    wanted = sorted(set(type_ids))
    return {row.id: row for row in await TYPES.find(connection, id=wanted)} if wanted else {}


async def in_use(connection: Connection, type_id: str) -> bool:
    query = select(volumes.c.id).where(volumes.c.type_id == type_id).limit(1)
    return (await connection.execute(query)).first() is not None


async def access(connection: Connection, type_id: str) -> list[str]:
    query = select(type_access).where(type_access.c.type_id == type_id).order_by(type_access.c.project_id)
    return [row.project_id for row in rows.every(await connection.execute(query), AccessRow)]


async def give(connection: Connection, type_id: str, project_id: str) -> None:
    """Raises DuplicateRow where the project has it."""
    await connection.execute(type_access.insert().values(type_id=type_id, project_id=project_id))


async def take(connection: Connection, type_id: str, project_id: str) -> bool:
    gone: Any = delete(type_access).where(type_access.c.type_id == type_id, type_access.c.project_id == project_id)
    return bool((await connection.execute(gone)).rowcount)


async def remove(connection: Connection, type_id: str) -> None:
    await connection.execute(delete(type_access).where(type_access.c.type_id == type_id))
    await encryption.remove(connection, type_id)
    await default_types.drop_type(connection, type_id)
    await items.clear(connection, type_id)
    await TYPES.remove(connection, type_id)
