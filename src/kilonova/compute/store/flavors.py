"""SQL of flavors and of the projects that may use private ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Select, and_, delete, exists, or_, select, tuple_, update

from kilonova.compute.tables import flavor_access, flavors
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared

SORT_KEYS = {
    "flavorid": flavors.c.flavorid, "id": flavors.c.id, "name": flavors.c.name, "memory_mb": flavors.c.memory_mb,
    "vcpus": flavors.c.vcpus, "root_gb": flavors.c.root_gb, "ephemeral_gb": flavors.c.ephemeral_gb,
    "swap": flavors.c.swap_mb, "rxtx_factor": flavors.c.rxtx_factor, "is_public": flavors.c.is_public,
    "disabled": flavors.c.disabled, "created_at": flavors.c.created_at, "vcpu_weight": flavors.c.id,
    "updated_at": flavors.c.created_at, "description": flavors.c.id,
}  # fmt: skip


class FlavorFilter(msgspec.Struct, frozen=True, kw_only=True):
    """`project_id` limits private flavors to those it may use; None for all. `public` None: both kinds."""

    project_id: str | None = None
    public: bool | None = None
    min_ram: int = 0
    min_disk: int = 0
    name: str | None = None


class FlavorRow(TypedRow):
    id: int
    flavorid: str
    name: str
    description: str | None
    vcpus: int
    memory_mb: int
    root_gb: int
    ephemeral_gb: int
    swap_mb: int
    rxtx_factor: float
    is_public: bool
    disabled: bool
    extra_specs: dict[str, str]
    created_at: dt.datetime


def _visible(project_id: Any) -> ColumnElement[bool]:
    granted = exists().where(flavor_access.c.flavor_id == flavors.c.id, flavor_access.c.project_id == project_id)
    return or_(flavors.c.is_public.is_(True), granted)


async def page(
    connection: Connection,
    wanted: FlavorFilter,
    *,
    limit: int,
    marker: FlavorRow | None,
    sort_key: str,
    descending: bool,
) -> Sequence[FlavorRow]:
    column = SORT_KEYS[sort_key]
    query = select(flavors).where(flavors.c.memory_mb >= wanted.min_ram, flavors.c.root_gb >= wanted.min_disk)
    if wanted.project_id is not None:
        query = query.where(_visible(wanted.project_id))
    if wanted.public is not None:
        query = query.where(flavors.c.is_public.is_(wanted.public))
    if wanted.name is not None:
        query = query.where(flavors.c.name == wanted.name)
    if marker is not None:
        here, there = tuple_(column, flavors.c.id), (getattr(marker, column.name), marker.id)
        query = query.where(here < there if descending else here > there)
    order = [column.desc(), flavors.c.id.desc()] if descending else [column, flavors.c.id]
    return rows.every(await connection.execute(query.order_by(*order).limit(limit)), FlavorRow)


async def get(
    connection: Connection, flavorid: str, *, project_id: str | None = None, lock: bool = False
) -> FlavorRow | None:
    """With a project only a flavor that it may use; with `lock` it is locked until the transaction ends."""
    known = _of_all(flavorid, lock=lock) if project_id is None else _of_project(flavorid, project_id, lock=lock)
    return rows.first(await connection.execute(*known), FlavorRow)


@prepared
def _of_all(flavorid: Any, *, lock: bool) -> Select[Any]:
    query = select(flavors).where(flavors.c.flavorid == flavorid)
    return locked(query) if lock else query


@prepared
def _of_project(flavorid: Any, project_id: Any, *, lock: bool) -> Select[Any]:
    query = select(flavors).where(flavors.c.flavorid == flavorid, _visible(project_id))
    return locked(query) if lock else query


async def named(connection: Connection, name: str) -> FlavorRow | None:
    return rows.first(await connection.execute(select(flavors).where(flavors.c.name == name)), FlavorRow)


async def add(connection: Connection, rows: list[dict[str, Any]]) -> None:
    await connection.execute(insert(flavors), rows)


async def change(connection: Connection, flavor_id: int, values: dict[str, Any]) -> None:
    await connection.execute(update(flavors).where(flavors.c.id == flavor_id).values(**values))


async def remove(connection: Connection, flavor_id: int) -> None:
    await connection.execute(delete(flavor_access).where(flavor_access.c.flavor_id == flavor_id))
    await connection.execute(delete(flavors).where(flavors.c.id == flavor_id))


async def projects(connection: Connection, flavor_id: int) -> list[str]:
    query = select(flavor_access.c.project_id).where(flavor_access.c.flavor_id == flavor_id)
    return list((await connection.execute(query.order_by(flavor_access.c.id))).scalars())


async def grant(connection: Connection, flavor_id: int, project_id: str) -> None:
    await connection.execute(insert(flavor_access), {"flavor_id": flavor_id, "project_id": project_id})


async def revoke(connection: Connection, flavor_id: int, project_id: str) -> bool:
    mine = and_(flavor_access.c.flavor_id == flavor_id, flavor_access.c.project_id == project_id)
    return (await connection.execute(delete(flavor_access).where(mine))).rowcount == 1
