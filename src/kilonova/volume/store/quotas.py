"""SQL of quotas: limits of projects and classes, and what a project has."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from sqlalchemy import delete, func, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.locks import hold
from kilonova.volume.tables import locks, quotas, snapshots, volumes


class LimitRow(TypedRow):
    resource: str
    amount: int


class UsedRow(TypedRow):
    """Of one volume type; sums are of the type that the engine gives them."""

    type_id: str | None
    number: int
    size: int | Decimal


async def turn(connection: Connection, project_id: str) -> None:
    """One transaction at a time counts what a project has and adds to it."""
    await hold(connection, locks, f"quota:{project_id}")


async def limits(connection: Connection, owner: str) -> dict[str, int]:
    """`owner`: `project:ID` or `class:NAME`."""
    query = select(quotas.c.resource, quotas.c.amount).where(quotas.c.owner == owner)
    return {row.resource: row.amount for row in rows.every(await connection.execute(query), LimitRow)}


async def set_limits(connection: Connection, owner: str, amounts: Mapping[str, int]) -> None:
    gone = delete(quotas).where(quotas.c.owner == owner, quotas.c.resource.in_(list(amounts)))
    await connection.execute(gone)
    if amounts:
        new = [{"owner": owner, "resource": name, "amount": amount} for name, amount in amounts.items()]
        await connection.execute(quotas.insert(), new)


async def clear(connection: Connection, owner: str) -> None:
    await connection.execute(delete(quotas).where(quotas.c.owner == owner))


async def volumes_of(connection: Connection, project_id: str) -> dict[str, tuple[int, int]]:
    """Type id → (volumes, GiB) of a project."""
    size = func.coalesce(func.sum(volumes.c.quota_size), 0).label("size")
    query = select(volumes.c.type_id, func.count().label("number"), size).where(volumes.c.project_id == project_id)
    found = rows.every(await connection.execute(query.group_by(volumes.c.type_id)), UsedRow)
    return {row.type_id or "": (row.number, int(row.size)) for row in found}


async def snapshots_of(connection: Connection, project_id: str) -> dict[str, tuple[int, int]]:
    """Type id → (snapshots, GiB) of a project."""
    size = func.coalesce(func.sum(snapshots.c.size), 0).label("size")
    query = select(snapshots.c.type_id, func.count().label("number"), size)
    query = query.where(snapshots.c.project_id == project_id).group_by(snapshots.c.type_id)
    return {
        row.type_id or "": (row.number, int(row.size)) for row in rows.every(await connection.execute(query), UsedRow)
    }
