"""SQL of volumes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.volume.list_query import ListQuery
from kilonova.volume.store import items
from kilonova.volume.store.base import OwnedRow, Rows
from kilonova.volume.tables import attachments, snapshots, volumes
from kilonova.volume.tables import items as pairs


class VolumeRow(OwnedRow):
    """`host` is HOST@BACKEND#POOL, None while none is chosen; sizes are GiB."""

    user_id: str
    name: str | None
    description: str | None
    size: int
    quota_size: int
    status: str
    previous_status: str | None
    migration_status: str | None
    bootable: bool
    multiattach: bool
    encrypted: bool
    readonly: bool
    availability_zone: str | None
    type_id: str
    host: str | None
    snapshot_id: str | None
    source_volid: str | None
    image_id: str | None
    group_id: str | None
    created_at: dt.datetime
    updated_at: dt.datetime | None
    launched_at: dt.datetime | None


class SumRow(TypedRow):
    number: int
    size: int | Decimal


class HeldRow(TypedRow):
    host: str
    size: int | Decimal


VOLUMES = Rows(volumes, VolumeRow)


def conditions(query: ListQuery) -> list[Any]:
    """Those that look at other tables."""
    return [
        *items.having(volumes.c.id, items.METADATA, query.metadata),
        *items.having(volumes.c.id, items.IMAGE, query.image_metadata),
    ]


async def page(connection: Connection, query: ListQuery) -> Sequence[VolumeRow] | None:
    return await VOLUMES.page(connection, query, *conditions(query))


async def count(connection: Connection, query: ListQuery) -> int:
    return await VOLUMES.count(connection, query, *conditions(query))


async def summary(connection: Connection, project_id: str | None) -> tuple[int, int]:
    """(how many volumes, their GiB) of a project, or of all."""
    query = select(func.count().label("number"), func.coalesce(func.sum(volumes.c.size), 0).label("size"))
    if project_id is not None:
        query = query.where(volumes.c.project_id == project_id)
    row = rows.one(await connection.execute(query.select_from(volumes)), SumRow)
    return row.number, int(row.size)


class ShareRow(TypedRow):
    host: str | None
    project_id: str
    number: int
    size: int | Decimal


async def shares(connection: Connection) -> Sequence[ShareRow]:
    """What each project has in each pool."""
    size = func.sum(volumes.c.size).label("size")
    query = select(volumes.c.host, volumes.c.project_id, func.count().label("number"), size)
    grouped = query.group_by(volumes.c.host, volumes.c.project_id).order_by(volumes.c.project_id)
    return rows.every(await connection.execute(grouped), ShareRow)


class PairRow(TypedRow):
    name: str
    value: str


async def all_metadata(connection: Connection, project_id: str | None) -> dict[str, list[str]]:
    """Key → the values that volumes of a project, or of all, have."""
    query = select(pairs.c.name, pairs.c.value).where(pairs.c.kind == items.METADATA).distinct()
    query = query.join(volumes, volumes.c.id == pairs.c.owner_id)
    if project_id is not None:
        query = query.where(volumes.c.project_id == project_id)
    found: dict[str, list[str]] = {}
    for row in rows.every(await connection.execute(query.order_by(pairs.c.name, pairs.c.value)), PairRow):
        found.setdefault(row.name, []).append(row.value)
    return found


async def promised(connection: Connection) -> dict[str, int]:
    """GiB of the volumes of each pool."""
    query = select(volumes.c.host, func.sum(volumes.c.quota_size).label("size")).where(volumes.c.host.is_not(None))
    found = rows.every(await connection.execute(query.group_by(volumes.c.host)), HeldRow)
    return {row.host: int(row.size) for row in found}


async def users_of(connection: Connection, volume_id: str) -> tuple[bool, bool]:
    """Whether a volume has snapshots, and attachments."""
    found = []
    for table in (snapshots, attachments):
        query = select(func.count().label("number")).select_from(table).where(table.c.volume_id == volume_id)
        found.append(bool((await connection.execute(query)).scalar()))
    return found[0], found[1]


async def remove(connection: Connection, volume_id: str) -> None:
    taken = (await connection.execute(select(snapshots.c.id).where(snapshots.c.volume_id == volume_id))).scalars().all()
    for snapshot_id in taken:
        await items.clear(connection, snapshot_id)
    await connection.execute(snapshots.delete().where(snapshots.c.volume_id == volume_id))
    await connection.execute(attachments.delete().where(attachments.c.volume_id == volume_id))
    await items.clear(connection, volume_id)
    await VOLUMES.remove(connection, volume_id)
