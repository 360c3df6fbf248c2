"""SQL of backups."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

from sqlalchemy import func, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.volume.store import items
from kilonova.volume.store.base import OwnedRow, Rows
from kilonova.volume.tables import backups


class BackupRow(OwnedRow):
    """`host` is the pool of the machine that keeps it; `parent_id`: the backup that this one adds to. `bootable` and `type_id`
    are the volume's."""

    user_id: str
    volume_id: str
    snapshot_id: str | None
    parent_id: str | None
    name: str | None
    description: str | None
    container: str | None
    size: int
    status: str
    fail_reason: str | None
    object_count: int
    host: str
    availability_zone: str | None
    bootable: bool
    type_id: str | None
    created_at: dt.datetime
    updated_at: dt.datetime | None
    data_timestamp: dt.datetime | None


class SumRow(TypedRow):
    number: int
    size: int | Decimal


class ParentRow(TypedRow):
    parent_id: str


BACKUPS = Rows(backups, BackupRow)


async def usage(connection: Connection, project_id: str) -> tuple[int, int]:
    """(backups, their GiB) of a project."""
    query = select(func.count().label("number"), func.coalesce(func.sum(backups.c.size), 0).label("size"))
    row = rows.one(await connection.execute(query.where(backups.c.project_id == project_id)), SumRow)
    return row.number, int(row.size)


async def parents(connection: Connection, ids: Iterable[str]) -> set[str]:
    """Those of the backups that others add to."""
    query = select(backups.c.parent_id).where(backups.c.parent_id.in_(list(ids))).distinct()
    return {row.parent_id for row in rows.every(await connection.execute(query), ParentRow)}


async def remove(connection: Connection, backup_id: str) -> None:
    await items.clear(connection, backup_id)
    await BACKUPS.remove(connection, backup_id)
