"""Locks inside a transaction. SQLite has one writer anyway, and knows none of this."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Column, MetaData, Select, String, Table, text
from sqlalchemy.dialects import mysql

from kilonova.core.db.engine import Connection
from kilonova.core.db.failures import Collision

Q = TypeVar("Q", bound=Select[Any])


def locked(query: Q, **options: Any) -> Q:
    """The rows stay as they are read until the transaction ends: others that lock or change them wait. Rows that refer to
    them may still come. A query that locks several rows must name their order."""
    return query.with_for_update(key_share=True, **options)


def locks_table(metadata: MetaData) -> Table:
    """The table a service adds to its own tables to `hold` names."""
    return Table("locks", metadata, Column("name", String(255), primary_key=True))


async def hold(connection: Connection, table: Table, name: str) -> None:
    """One transaction at a time gets past here with this name, until it ends: for what has no row that could be locked, as
    the number of a project's servers."""
    if connection.dialect.name == "postgresql":
        key = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        await connection.execute(key, {"name": f"{table.name}:{name}"})
    elif connection.dialect.name == "mysql":
        insert = mysql.insert(table).values(name=name)
        await connection.execute(insert.on_duplicate_key_update(name=insert.inserted.name))


@asynccontextmanager
async def alone(connection: Connection, name: str, *, wait: int = 120) -> AsyncIterator[None]:
    """As `hold`, for work on the tables themselves, which ends transactions on MariaDB. Waits for that many seconds."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SET LOCAL lock_timeout = '{wait}s'"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
        yield
    elif connection.dialect.name == "mysql":
        mine = {"name": name[-64:]}
        taken = await connection.execute(text("SELECT GET_LOCK(:name, :wait)"), mine | {"wait": wait})
        if taken.scalar() != 1:
            raise Collision(name=name)
        try:
            yield
        finally:
            await connection.execute(text("SELECT RELEASE_LOCK(:name)"), mine)
    else:
        yield
