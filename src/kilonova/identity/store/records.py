"""SQL that every noun needs: find, get, add, change and remove rows by the values of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, func, insert, select, update

from kilonova.core.db import Connection, Row
from kilonova.core.db.locks import locked

__all__ = ["Table", "add", "change", "count", "find", "get", "remove"]


def _match(table: Table, values: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [
        table.c[name].in_(value) if isinstance(value, list | set | tuple) else table.c[name] == value
        for name, value in values.items()
    ]


async def find(connection: Connection, table: Table, *, lock: bool = False, **values: Any) -> Sequence[Row]:
    """Rows whose columns have these values; a list means any of them. In order of name where there is one. With `lock`
    they are locked until the transaction ends."""
    order = table.c.name if "name" in table.c else next(iter(table.primary_key.columns))
    query = select(table).where(*_match(table, values)).order_by(order)
    return (await connection.execute(locked(query) if lock else query)).all()


async def get(connection: Connection, table: Table, *, lock: bool = False, **values: Any) -> Row | None:
    query = select(table).where(*_match(table, values)).limit(1)
    return (await connection.execute(locked(query) if lock else query)).first()


async def count(connection: Connection, table: Table, **values: Any) -> int:
    query = select(func.count()).select_from(table).where(*_match(table, values))
    found: int = (await connection.execute(query)).scalar_one()
    return found


async def add(connection: Connection, table: Table, *rows: dict[str, Any]) -> None:
    if rows:
        await connection.execute(insert(table), list(rows))


async def change(connection: Connection, table: Table, values: dict[str, Any], **where: Any) -> int:
    """The number of rows changed."""
    if not values:
        return 0
    return (await connection.execute(update(table).where(*_match(table, where)).values(**values))).rowcount


async def remove(connection: Connection, table: Table, **where: Any) -> int:
    """The number of rows removed."""
    return (await connection.execute(delete(table).where(*_match(table, where)))).rowcount
