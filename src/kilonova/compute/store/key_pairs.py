"""SQL of key pairs, which belong to users."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select

from kilonova.compute.tables import key_pairs
from kilonova.core.db import Connection, TypedRow, rows


class KeyPairRow(TypedRow):
    id: int
    user_id: str
    name: str
    type: str
    fingerprint: str
    public_key: str
    created_at: dt.datetime


async def page(connection: Connection, user_id: str, *, limit: int, marker: str | None) -> Sequence[KeyPairRow]:
    """By name, after the one named `marker`."""
    query = select(key_pairs).where(key_pairs.c.user_id == user_id)
    if marker is not None:
        query = query.where(key_pairs.c.name > marker)
    return rows.every(await connection.execute(query.order_by(key_pairs.c.name).limit(limit)), KeyPairRow)


async def get(connection: Connection, user_id: str, name: str) -> KeyPairRow | None:
    query = select(key_pairs).where(key_pairs.c.user_id == user_id, key_pairs.c.name == name)
    return rows.first(await connection.execute(query), KeyPairRow)


async def count(connection: Connection, user_id: str) -> int:
    query = select(func.count(key_pairs.c.id)).where(key_pairs.c.user_id == user_id)
    return int((await connection.execute(query)).scalar_one())


async def add(connection: Connection, row: dict[str, Any]) -> None:
    await connection.execute(insert(key_pairs).values(**row))


async def remove(connection: Connection, user_id: str, name: str) -> bool:
    found = await connection.execute(delete(key_pairs).where(key_pairs.c.user_id == user_id, key_pairs.c.name == name))
    return found.rowcount == 1
