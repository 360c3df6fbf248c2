"""SQL that all resources share: lists with filters, sorting and paging, rows by id, tags."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Select,
    Table,
    and_,
    delete,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from kilonova.core.db import Connection, Row
from kilonova.core.db.locks import locked
from kilonova.core.db.paging import beyond
from kilonova.core.db.prepared import insert, prepared
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.tables import tags

ALIASES = {"tenant_id": "project_id"}
CHUNK = 8000  # ids in one statement
Condition = ColumnElement[bool]


def column(table: Table, name: str) -> Any:
    return table.c[ALIASES.get(name, name)]


def conditions(table: Table, filters: Mapping[str, Sequence[Any]]) -> list[Condition]:
    """Equality with one of the values for every plain attribute, and the four tag filters."""
    found: list[Condition] = []
    for name, values in filters.items():
        if name in TAG_FILTERS:
            found.append(TAG_FILTERS[name](table, [str(tag) for tag in values]))
        elif ALIASES.get(name, name) in table.c:
            texts = [v for v in values if v is not None]
            found.append(
                or_(column(table, name).in_(texts), *([column(table, name).is_(None)] if None in values else []))
            )
    return found


def _all_tags(table: Table, wanted: list[str]) -> Condition:
    return and_(*(_any_tag(table, [tag]) for tag in wanted))


def _any_tag(table: Table, wanted: list[str]) -> Condition:
    return exists().where(tags.c.resource_id == table.c.id, tags.c.tag.in_(wanted))


TAG_FILTERS: dict[str, Callable[[Table, list[str]], Condition]] = {
    "tags": _all_tags,
    "tags-any": _any_tag,
    "not-tags": lambda table, wanted: ~_all_tags(table, wanted),
    "not-tags-any": lambda table, wanted: ~_any_tag(table, wanted),
}


async def page(
    connection: Connection, table: Table, where: Sequence[Condition], filters: Filters
) -> Sequence[Row] | None:
    """One page of a table; None when there is no row with the marker's id."""
    sorts = [*filters.sorts, *([] if any(n == "id" for n, _ in filters.sorts) else [("id", False)])]
    keys = [(_sortable(column(table, name)), descending != filters.page_reverse) for name, descending in sorts]
    query = select(table).where(*where)
    if filters.marker is not None:
        marker = (
            await connection.execute(select(*(key for key, _ in keys)).where(table.c.id == filters.marker))
        ).first()
        if marker is None:
            return None
        query = query.where(beyond((key, value, falls) for (key, falls), value in zip(keys, marker, strict=True)))
    query = query.order_by(*(key.desc() if descending else key.asc() for key, descending in keys))
    if filters.limit is not None:
        query = query.limit(filters.limit)
    rows = (await connection.execute(query)).all()
    return rows[::-1] if filters.page_reverse else rows


def _sortable(key: Any) -> Any:
    """NULL has no place in an order; it comes first here."""
    if not key.nullable:
        return key
    return func.coalesce(key, -1 if key.type.python_type is int else "")


async def get(connection: Connection, table: Table, resource_id: str, *, lock: bool = False) -> Row | None:
    """With `lock`, others that would lock or change it wait until the transaction ends."""
    return (await connection.execute(*_one(resource_id, table=table, lock=lock))).first()


@prepared
def _one(resource_id: Any, *, table: Table, lock: bool) -> Select[Any]:
    query = select(table).where(table.c.id == resource_id)
    return locked(query) if lock else query


async def by_ids(connection: Connection, table: Table, ids: Iterable[str]) -> dict[str, Row]:
    """Rows by id; ids that do not exist are missing."""
    found: dict[str, Row] = {}
    for part in _chunks(set(ids)):
        rows = (await connection.execute(*_some(part, table=table))).all()
        found |= {row.id: row for row in rows}
    return found


@prepared
def _some(ids: Any, *, table: Table) -> Select[Any]:
    return select(table).where(table.c.id.in_(ids))


async def add(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        await connection.execute(insert(table), list(rows))


async def change(connection: Connection, table: Table, resource_id: str, values: dict[str, Any], now: str) -> None:
    """New values, with the next revision."""
    stamps = {"updated_at": now, "revision_number": table.c.revision_number + 1}
    await connection.execute(update(table).where(table.c.id == resource_id).values(**values, **stamps))


async def remove(connection: Connection, table: Table, ids: Iterable[str]) -> None:
    """Delete rows and their tags."""
    for part in _chunks(ids):
        await connection.execute(*_gone(part, table=table, column="id"))
        await connection.execute(*_gone(part, table=tags, column="resource_id"))


@prepared
def _gone(ids: Any, *, table: Table, column: str) -> Delete:
    return delete(table).where(table.c[column].in_(ids))


async def tags_of(connection: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """Sorted tags by resource."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for part in _chunks(ids):
        for row in (await connection.execute(*_tags(part))).all():
            found[row.resource_id].append(row.tag)
    return found


@prepared
def _tags(ids: Any) -> Select[Any]:
    return select(tags).where(tags.c.resource_id.in_(ids)).order_by(tags.c.tag)


async def add_tags(connection: Connection, pairs: Sequence[tuple[str, str]]) -> None:
    """Pairs of resource id and tag; those that are there already stay."""
    have = select(tags).where(tuple_(tags.c.resource_id, tags.c.tag).in_(pairs))
    known = {(row.resource_id, row.tag) for row in (await connection.execute(have)).all()}
    rows = [
        {"resource_id": resource, "tag": tag} for resource, tag in dict.fromkeys(pairs) if (resource, tag) not in known
    ]
    await add(connection, tags, rows)


async def remove_tags(connection: Connection, resource_id: str, names: Sequence[str] | None) -> int:
    """Delete these tags of a resource, or all; how many there were."""
    query = delete(tags).where(tags.c.resource_id == resource_id)
    if names is not None:
        query = query.where(tags.c.tag.in_(names))
    return (await connection.execute(query)).rowcount


def _chunks(ids: Iterable[str]) -> list[list[str]]:
    every = list(ids)
    return [every[n : n + CHUNK] for n in range(0, len(every), CHUNK)]
