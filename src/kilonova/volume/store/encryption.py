"""SQL of the encryption that volume types ask for."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import delete, select, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.volume.tables import encryption_types


class EncryptionRow(TypedRow):
    type_id: str
    encryption_id: str
    provider: str
    control_location: str
    cipher: str | None
    key_size: int | None
    created_at: dt.datetime
    updated_at: dt.datetime | None


async def get(connection: Connection, type_id: str) -> EncryptionRow | None:
    query = select(encryption_types).where(encryption_types.c.type_id == type_id)
    return rows.first(await connection.execute(query), EncryptionRow)


async def add(connection: Connection, **values: Any) -> None:
    await connection.execute(encryption_types.insert().values(**values))


async def change(connection: Connection, type_id: str, values: dict[str, Any]) -> None:
    await connection.execute(update(encryption_types).where(encryption_types.c.type_id == type_id).values(**values))


async def remove(connection: Connection, type_id: str) -> None:
    await connection.execute(delete(encryption_types).where(encryption_types.c.type_id == type_id))
