"""SQL that all resources share: rows by id, lists with filters, sorting and paging, changes with revisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Delete, Select, Table, delete, func, or_, select, update

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.paging import beyond
from kilonova.core.db.prepared import insert, prepared
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.store import tags
from kilonova.network.store.tags import Condition

R = TypeVar("R", bound="ObjectRow")
ALIASES = {"tenant_id": "project_id"}


class ObjectRow(TypedRow):
    """What rows of objects have."""

    id: str


class OwnedRow(ObjectRow):
    """Of those that belong to a project."""

    project_id: str


class StandardRow(OwnedRow):
    """Of those with all standard attributes. Times are ISO text."""

    name: str
    description: str
    created_at: str
    updated_at: str
    revision_number: int


class SharedRow(OwnedRow):
    """Of those that RBAC policies share: `shared_with` holds the targets, projects or "*"."""

    shared_with: list[str]


class Objects(Generic[R]):
    """The objects in one table, by their column `id`; `row` says what their rows have: its columns and those `beside`."""

    def __init__(self, table: Table, row: type[R], beside: Sequence[ColumnElement[Any]] = ()) -> None:
        self.table, self.row, self.beside = table, row, beside

    @property
    def rows(self) -> Select[Any]:
        return select(self.table, *self.beside)

    def column(self, name: str) -> Any:
        return self.table.c[ALIASES.get(name, name)]

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> list[Condition]:
        """Equality with one of the values for every plain attribute, and the four tag filters."""
        found: list[Condition] = []
        for name, values in filters.items():
            if name in tags.FILTERS:
                found.append(tags.FILTERS[name](self.table, [str(tag) for tag in values]))
            elif ALIASES.get(name, name) in self.table.c:
                column, texts = self.column(name), [v for v in values if v is not None]
                found.append(or_(column.in_(texts), *([column.is_(None)] if None in values else [])))
        return found

    def owned_by(self, project_id: str | None) -> Condition:
        owner: Condition = self.table.c.project_id == project_id
        return owner

    async def page(
        self, connection: Connection, where: Sequence[Condition], filters: Filters = Filters()
    ) -> Sequence[R] | None:
        """One page of the table; None when there is no row with the marker's id."""
        sorts = [*filters.sorts, *([] if any(n == "id" for n, _ in filters.sorts) else [("id", False)])]
        keys = [(_sortable(self.column(name)), descending != filters.page_reverse) for name, descending in sorts]
        query = self.rows.where(*where)
        if filters.marker is not None:
            marked = select(*(key for key, _ in keys)).where(self.table.c.id == filters.marker)
            marker = (await connection.execute(marked)).first()
            if marker is None:
                return None
            query = query.where(beyond((key, value, falls) for (key, falls), value in zip(keys, marker, strict=True)))
        query = query.order_by(*(key.desc() if descending else key.asc() for key, descending in keys))
        if filters.limit is not None:
            query = query.limit(filters.limit)
        found = rows.every(await connection.execute(query), self.row)
        return found[::-1] if filters.page_reverse else found

    async def get(self, connection: Connection, object_id: str, *, lock: bool = False) -> R | None:
        """With `lock`, others that would lock or change it wait until the transaction ends."""
        return rows.first(await connection.execute(*_one(object_id, objects=self, lock=lock)), self.row)

    async def by_ids(self, connection: Connection, ids: Iterable[str]) -> dict[str, R]:
        """Rows by id; ids that do not exist are missing."""
        found: dict[str, R] = {}
        for part in tags.chunks(set(ids)):
            some = rows.every(await connection.execute(*_some(part, objects=self)), self.row)
            found |= {row.id: row for row in some}
        return found

    async def add(self, connection: Connection, new: Sequence[Mapping[str, Any]]) -> None:
        if new:
            await connection.execute(insert(self.table), list(new))

    async def change(self, connection: Connection, object_id: str, values: Mapping[str, Any], now: str) -> None:
        """New values, with the next revision of what has revisions."""
        table = self.table
        stamps = {"updated_at": now, "revision_number": table.c.revision_number + 1} if "updated_at" in table.c else {}
        await self.set(connection, object_id, {**values, **stamps})

    async def set(self, connection: Connection, object_id: str, values: Mapping[str, Any]) -> None:
        """New values, beside a change that gives the next revision."""
        if values:
            await connection.execute(update(self.table).where(self.table.c.id == object_id).values(**values))

    async def remove(self, connection: Connection, ids: Iterable[str]) -> None:
        """Delete rows and their tags."""
        for part in tags.chunks(ids):
            await connection.execute(*_gone(part, table=self.table))
            await tags.remove_all(connection, part)


def _sortable(key: Any) -> Any:
    """NULL has no place in an order; it comes first here."""
    if not key.nullable:
        return key
    return func.coalesce(key, -1 if key.type.python_type is int else "")


@prepared
def _one(object_id: Any, *, objects: Objects[Any], lock: bool) -> Select[Any]:
    query = objects.rows.where(objects.table.c.id == object_id)
    return locked(query) if lock else query


@prepared
def _some(ids: Any, *, objects: Objects[Any]) -> Select[Any]:
    return objects.rows.where(objects.table.c.id.in_(ids))


@prepared
def _gone(ids: Any, *, table: Table) -> Delete:
    return delete(table).where(table.c.id.in_(ids))
