"""SQL of tags, those of every resource."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Delete, Select, Table, and_, delete, exists, select, tuple_

from kilonova.core.db import Connection
from kilonova.core.db.prepared import insert, prepared
from kilonova.network.tables import tags

Condition = ColumnElement[bool]
CHUNK = 8000  # ids in one statement


def _all_of(table: Table, wanted: Sequence[str]) -> Condition:
    return and_(*(_any_of(table, [tag]) for tag in wanted))


def _any_of(table: Table, wanted: Sequence[str]) -> Condition:
    return exists().where(tags.c.resource_id == table.c.id, tags.c.tag.in_(wanted))


FILTERS: Mapping[str, Callable[[Table, Sequence[str]], Condition]] = {
    "tags": _all_of,
    "tags-any": _any_of,
    "not-tags": lambda table, wanted: ~_all_of(table, wanted),
    "not-tags-any": lambda table, wanted: ~_any_of(table, wanted),
}
"""Query parameter → what it asks of a row of the table."""


async def tags_of(connection: Connection, ids: Iterable[str]) -> dict[str, list[str]]:
    """Sorted tags by object."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for part in chunks(ids):
        for row in (await connection.execute(*_tags(part))).all():
            found[row.resource_id].append(row.tag)
    return found


@prepared
def _tags(ids: Any) -> Select[Any]:
    return select(tags).where(tags.c.resource_id.in_(ids)).order_by(tags.c.tag)


async def add(connection: Connection, pairs: Sequence[tuple[str, str]]) -> None:
    """Pairs of object id and tag; those that are there already stay."""
    have = select(tags).where(tuple_(tags.c.resource_id, tags.c.tag).in_(pairs))
    known = {(row.resource_id, row.tag) for row in (await connection.execute(have)).all()}
    rows = [{"resource_id": one, "tag": tag} for one, tag in dict.fromkeys(pairs) if (one, tag) not in known]
    if rows:
        await connection.execute(insert(tags), rows)


async def remove(connection: Connection, object_id: str, names: Sequence[str]) -> int:
    """Delete these tags of an object; how many there were."""
    query = delete(tags).where(tags.c.resource_id == object_id, tags.c.tag.in_(names))
    return (await connection.execute(query)).rowcount


async def remove_all(connection: Connection, ids: Sequence[str]) -> None:
    """Delete all tags of these objects."""
    await connection.execute(*_gone(ids))


@prepared
def _gone(ids: Any) -> Delete:
    return delete(tags).where(tags.c.resource_id.in_(ids))


def chunks(ids: Iterable[str]) -> list[list[str]]:
    """The ids, as many at a time as one statement takes."""
    every = list(ids)
    return [every[n : n + CHUNK] for n in range(0, len(every), CHUNK)]
