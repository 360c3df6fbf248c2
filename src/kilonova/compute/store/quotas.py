"""SQL of quota limits: per project, per user in a project ("project/user") and per class."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, delete, func, or_, select, tuple_, update

from kilonova.compute.tables import quota_limits
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import insert, prepared

Limits = dict[tuple[str, str], dict[str, int]]


class LimitRow(TypedRow):
    kind: str
    owner: str
    resource: str
    hard_limit: int


async def find(connection: Connection, owners: list[tuple[str, str]]) -> Limits:
    """(kind, owner) → {resource: limit}, in one statement."""
    found: Limits = {}
    for row in rows.every(await connection.execute(*_of_owners(owners)), LimitRow):
        found.setdefault((row.kind, row.owner), {})[row.resource] = row.hard_limit
    return found


@prepared
def _of_owners(owners: Any) -> Select[Any]:
    return select(quota_limits).where(tuple_(quota_limits.c.kind, quota_limits.c.owner).in_(owners))


async def of_users(connection: Connection, project_id: str, *, but: str | None = None) -> dict[str, int]:
    """resource → the sum of the limits that users of a project have, without the user `but`."""
    table = quota_limits.c
    query = select(table.resource, func.sum(table.hard_limit)).where(
        table.kind == "user", table.owner.startswith(f"{project_id}/", autoescape=True), table.hard_limit > 0
    )
    if but is not None:
        query = query.where(table.owner != f"{project_id}/{but}")
    return {resource: int(limit) for resource, limit in await connection.execute(query.group_by(table.resource))}


async def put(connection: Connection, kind: str, owner: str, limits: dict[str, int]) -> None:
    for resource, limit in limits.items():
        key = (quota_limits.c.kind == kind, quota_limits.c.owner == owner, quota_limits.c.resource == resource)
        changed = await connection.execute(update(quota_limits).where(*key).values(hard_limit=limit))
        if changed.rowcount == 0:
            row = {"kind": kind, "owner": owner, "resource": resource, "hard_limit": limit}
            await connection.execute(insert(quota_limits), row)


async def remove(connection: Connection, kind: str, owner: str) -> None:
    table = quota_limits.c
    mine = and_(table.kind == kind, table.owner == owner)
    if kind == "project":
        mine = or_(mine, and_(table.kind == "user", table.owner.startswith(f"{owner}/", autoescape=True)))
    await connection.execute(delete(quota_limits).where(mine))
