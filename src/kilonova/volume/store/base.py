"""SQL that all nouns share: rows by id, compare-and-swap, lists with filters, sorting and paging."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, Table, delete, func, select, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.paging import beyond
from kilonova.volume.list_query import ListQuery

Condition = ColumnElement[bool]


class NumberRow(TypedRow):
    number: int


class KeyRow(TypedRow):
    """What rows of `Rows` have."""

    id: str


class OwnedRow(KeyRow):
    """Of those that belong to a project."""

    project_id: str


R = TypeVar("R", bound=KeyRow)


class Rows(Generic[R]):
    """The rows of one table, by their column `id`."""

    def __init__(self, table: Table, row: type[R]) -> None:
        self.table, self.row = table, row

    async def get(self, connection: Connection, key: str, *, lock: bool = False) -> R | None:
        query = select(self.table).where(self.table.c.id == key)
        return rows.first(await connection.execute(locked(query) if lock else query), self.row)

    async def find(self, connection: Connection, *more: Condition, **equal: Any) -> Sequence[R]:
        """All rows whose columns have these values; a list means one of them."""
        query = select(self.table).where(*self.conditions(equal), *more).order_by(self.table.c.id)
        return rows.every(await connection.execute(query), self.row)

    async def add(self, connection: Connection, **values: Any) -> None:
        await connection.execute(self.table.insert().values(**values))

    async def change(self, connection: Connection, key: str, values: dict[str, Any], **expected: Any) -> bool:
        """Whether the row was as expected, and is changed."""
        where = [self.table.c.id == key, *self.conditions(expected)]
        return bool((await connection.execute(update(self.table).where(*where).values(**values))).rowcount)

    async def remove(self, connection: Connection, key: str) -> bool:
        return bool((await connection.execute(delete(self.table).where(self.table.c.id == key))).rowcount)

    def conditions(self, equal: dict[str, Any]) -> list[Condition]:
        return [_equal(self.table.c[name], value) for name, value in equal.items()]

    def _where(self, query: ListQuery, more: Sequence[Condition]) -> list[Condition]:
        found = [*self.conditions(query.equal), *more]
        found += [self.table.c[name].contains(part, autoescape=True) for name, part in query.parts.items()]
        found += [_compared(self.table.c[name], verb, moment) for name, verb, moment in query.times]
        return found

    async def count(self, connection: Connection, query: ListQuery, *more: Condition) -> int:
        counted = select(func.count().label("number")).select_from(self.table).where(*self._where(query, more))
        return rows.one(await connection.execute(counted), NumberRow).number

    async def page(self, connection: Connection, query: ListQuery, *more: Condition) -> Sequence[R] | None:
        """The rows that fit, in order; None when the marker is none of the table's rows."""
        if query.limit == 0:
            return []
        wanted = select(self.table).where(*self._where(query, more))
        keys = [(self.table.c[name], falling) for name, falling in query.sort]
        if query.marker is not None:
            marker = await self.get(connection, query.marker)
            if marker is None:
                return None
            found = [(column, getattr(marker, column.name), falling) for column, falling in keys]
            wanted = wanted.where(
                beyond((column, value, falling) for column, value, falling in found if value is not None)
            )
        wanted = self._ordered(wanted, keys).limit(query.limit)
        if query.offset:
            wanted = wanted.offset(query.offset)
        return rows.every(await connection.execute(wanted), self.row)

    def _ordered(self, wanted: Select[Any], keys: Sequence[tuple[Any, bool]]) -> Select[Any]:
        return wanted.order_by(*(column.desc() if falling else column.asc() for column, falling in keys))


def _equal(column: Any, value: Any) -> Condition:
    if value is None:
        nothing: Condition = column.is_(None)
        return nothing
    if isinstance(value, Collection) and not isinstance(value, str):
        several: Condition = column.in_(list(value))
        return several
    same: Condition = column == value
    return same


def _compared(column: Any, verb: str, moment: Any) -> Condition:
    found: Condition = getattr(column, f"__{verb}__")(moment)
    return found
