"""SQL of quota limits: per project, per user in a project ("project/user") and per class."""

from __future__ import annotations

from sqlalchemy import and_, delete, insert, or_, select, update

from kilonova.compute.tables import quota_limits
from kilonova.core.db import Connection

Limits = dict[tuple[str, str], dict[str, int]]


async def find(connection: Connection, owners: list[tuple[str, str]]) -> Limits:
    """(kind, owner) → {resource: limit}, in one statement."""
    table = quota_limits.c
    query = select(quota_limits).where(or_(*(and_(table.kind == k, table.owner == o) for k, o in owners)))
    found: Limits = {}
    for row in (await connection.execute(query)).all():
        found.setdefault((row.kind, row.owner), {})[row.resource] = row.hard_limit
    return found


async def put(connection: Connection, kind: str, owner: str, limits: dict[str, int]) -> None:
    for resource, limit in limits.items():
        key = (quota_limits.c.kind == kind, quota_limits.c.owner == owner, quota_limits.c.resource == resource)
        changed = await connection.execute(update(quota_limits).where(*key).values(hard_limit=limit))
        if changed.rowcount == 0:
            row = {"kind": kind, "owner": owner, "resource": resource, "hard_limit": limit}
            await connection.execute(insert(quota_limits).values(**row))


async def remove(connection: Connection, kind: str, owner: str) -> None:
    table = quota_limits.c
    mine = and_(table.kind == kind, table.owner == owner)
    if kind == "project":
        mine = or_(mine, and_(table.kind == "user", table.owner.startswith(f"{owner}/", autoescape=True)))
    await connection.execute(delete(quota_limits).where(mine))
