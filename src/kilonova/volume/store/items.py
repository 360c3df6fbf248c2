"""SQL of key-value pairs: metadata of volumes and snapshots, extra specs, what is known of a volume's image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import delete, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.volume.store.base import Condition
from kilonova.volume.tables import items

METADATA, IMAGE, EXTRA_SPECS, FLAGS = "metadata", "image", "extra_specs", "flags"


class ItemRow(TypedRow):
    owner_id: str
    name: str
    value: str


async def of(connection: Connection, kind: str, owner_ids: Iterable[str]) -> defaultdict[str, dict[str, str]]:
    """Owner → its pairs; empty for those without."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    wanted = list(owner_ids)
    if not wanted:
        return found
    query = select(items.c.owner_id, items.c.name, items.c.value).where(
        items.c.kind == kind, items.c.owner_id.in_(wanted)
    )
    for row in rows.every(await connection.execute(query.order_by(items.c.id)), ItemRow):
        found[row.owner_id][row.name] = row.value
    return found


async def put(
    connection: Connection, kind: str, owner_id: str, pairs: Mapping[str, str], *, replace: bool = False
) -> None:
    """Set these pairs; `replace`: and have no others."""
    gone = [items.c.owner_id == owner_id, items.c.kind == kind]
    if not replace:
        gone.append(items.c.name.in_(list(pairs)))
    if pairs or replace:
        await connection.execute(delete(items).where(*gone))
    if pairs:
        new = [{"kind": kind, "owner_id": owner_id, "name": name, "value": value} for name, value in pairs.items()]
        await connection.execute(items.insert(), new)


async def remove(connection: Connection, kind: str, owner_id: str, name: str) -> bool:
    gone = delete(items).where(items.c.owner_id == owner_id, items.c.kind == kind, items.c.name == name)
    return bool((await connection.execute(gone)).rowcount)


async def clear(connection: Connection, owner_id: str) -> None:
    """All pairs of what is deleted."""
    await connection.execute(delete(items).where(items.c.owner_id == owner_id))


def having(column: Condition, kind: str, pairs: Mapping[str, str]) -> list[Condition]:
    """That the owner whose id is in `column` has all of these pairs."""
    return [
        column.in_(select(items.c.owner_id).where(items.c.kind == kind, items.c.name == name, items.c.value == value))
        for name, value in pairs.items()
    ]
