"""SQL that removes rows whose time is over."""

from __future__ import annotations

from sqlalchemy import Table, delete, select

from kilonova.core.db import Connection

__all__ = ["Table", "forget"]


async def forget(connection: Connection, table: Table, now: int, limit: int) -> int:
    """Remove at most `limit` rows of a table with `expires_at` that expired before `now`; how many."""
    (key,) = table.primary_key.columns
    query = select(key).where(table.c.expires_at < now).order_by(table.c.expires_at).limit(limit)
    found = sorted((await connection.execute(query)).scalars())  # so that concurrent transactions do not deadlock
    if not found:
        return 0
    return (await connection.execute(delete(table).where(key.in_(found)))).rowcount
