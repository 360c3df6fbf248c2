"""SQL that every noun needs: find, get, add, change and remove rows by the values of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Table, delete, func, insert, select, update

from kilonova.core.db import rows
from kilonova.core.db.engine import Connection
from kilonova.core.db.locks import locked
from kilonova.core.db.rows import TypedRow

R = TypeVar("R", bound=TypedRow)


class Records(Generic[R]):
    """A table whose rows are of class `kind`."""

    def __init__(self, table: Table, kind: type[R]) -> None:
        self.table, self.kind = table, kind

    async def find(self, connection: Connection, *, lock: bool = False, **values: Any) -> Sequence[R]:
        """Rows whose columns have these values; a list means any of them. In order of name where there is one. With `lock`
        they are locked until the transaction ends."""
        order = self.table.c.name if "name" in self.table.c else next(iter(self.table.primary_key.columns))
        query = select(self.table).where(*self._match(values)).order_by(order)
        return rows.every(await connection.execute(locked(query) if lock else query), self.kind)

    async def get(self, connection: Connection, *, lock: bool = False, **values: Any) -> R | None:
        query = select(self.table).where(*self._match(values)).limit(1)
        return rows.first(await connection.execute(locked(query) if lock else query), self.kind)

    async def count(self, connection: Connection, **values: Any) -> int:
        query = select(func.count()).select_from(self.table).where(*self._match(values))
        found: int = (await connection.execute(query)).scalar_one()
        return found

    async def add(self, connection: Connection, *added: dict[str, Any]) -> None:
        if added:
            await connection.execute(insert(self.table), list(added))

    async def change(self, connection: Connection, values: dict[str, Any], **where: Any) -> int:
        """The number of rows changed."""
        if not values:
            return 0
        return (await connection.execute(update(self.table).where(*self._match(where)).values(**values))).rowcount

    async def remove(self, connection: Connection, **where: Any) -> int:
        """The number of rows removed."""
        return (await connection.execute(delete(self.table).where(*self._match(where)))).rowcount

    def _match(self, values: dict[str, Any]) -> list[ColumnElement[bool]]:
        columns = self.table.c
        return [
            columns[name].in_(value) if isinstance(value, list | set | tuple) else columns[name] == value
            for name, value in values.items()
        ]
