"""SQL of key pairs, which belong to users."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select

from kilonova.compute.tables import key_pairs
from kilonova.core.db import Connection, Row


async def page(connection: Connection, user_id: str, *, limit: int, marker: str | None) -> Sequence[Row]:
    """By name, after the one named `marker`."""
    query = select(key_pairs).where(key_pairs.c.user_id == user_id)
    if marker is not None:
        query = query.where(key_pairs.c.name > marker)
    return (await connection.execute(query.order_by(key_pairs.c.name).limit(limit))).all()


async def get(connection: Connection, user_id: str, name: str) -> Row | None:
    query = select(key_pairs).where(key_pairs.c.user_id == user_id, key_pairs.c.name == name)
    return (await connection.execute(query)).first()


async def count(connection: Connection, user_id: str) -> int:
    query = select(func.count(key_pairs.c.id)).where(key_pairs.c.user_id == user_id)
    return int((await connection.execute(query)).scalar_one())


async def add(connection: Connection, row: dict[str, Any]) -> None:
    await connection.execute(insert(key_pairs).values(**row))


async def remove(connection: Connection, user_id: str, name: str) -> bool:
    found = await connection.execute(delete(key_pairs).where(key_pairs.c.user_id == user_id, key_pairs.c.name == name))
    return found.rowcount == 1
