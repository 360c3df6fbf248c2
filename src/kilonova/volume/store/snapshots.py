"""SQL of snapshots."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from kilonova.core.db import Connection
from kilonova.volume.list_query import ListQuery
from kilonova.volume.store import items
from kilonova.volume.store.base import OwnedRow, Rows
from kilonova.volume.tables import snapshots


class SnapshotRow(OwnedRow):
    """`size` is the volume's when it was made, GiB."""

    volume_id: str
    user_id: str
    name: str | None
    description: str | None
    size: int
    type_id: str | None
    status: str
    progress: str
    group_snapshot_id: str | None
    created_at: dt.datetime
    updated_at: dt.datetime | None


SNAPSHOTS = Rows(snapshots, SnapshotRow)


async def page(connection: Connection, query: ListQuery) -> Sequence[SnapshotRow] | None:
    return await SNAPSHOTS.page(connection, query, *items.having(snapshots.c.id, items.METADATA, query.metadata))


async def count(connection: Connection, query: ListQuery) -> int:
    return await SNAPSHOTS.count(connection, query, *items.having(snapshots.c.id, items.METADATA, query.metadata))


async def remove(connection: Connection, snapshot_id: str) -> None:
    await items.clear(connection, snapshot_id)
    await SNAPSHOTS.remove(connection, snapshot_id)
