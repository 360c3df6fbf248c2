"""SQL of quotas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, Table, delete, func, select

from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import insert, prepared
from kilonova.network.store.objects import Objects
from kilonova.network.tables import quotas


class UsageRow(TypedRow):
    """How many there are, and the limit of the project's own."""

    used: int
    amount: int | None


class LimitRow(TypedRow):
    project_id: str
    resource: str
    amount: int


async def usage(connection: Connection, project_id: str, resource: str, counted: Objects[Any]) -> UsageRow:
    """Of a resource, which are these objects, in one statement."""
    return rows.one(await connection.execute(*_usage(project_id, resource, table=counted.table)), UsageRow)


@prepared
def _usage(project_id: Any, resource: Any, *, table: Table) -> Select[Any]:
    used = select(func.count()).select_from(table).where(table.c.project_id == project_id).scalar_subquery()
    limit = (
        select(quotas.c.amount)
        .where(quotas.c.project_id == project_id, quotas.c.resource == resource)
        .scalar_subquery()
    )
    return select(used.label("used"), limit.label("amount"))


async def limits(connection: Connection, project_id: str | None = None) -> Sequence[LimitRow]:
    """Those that were set, of one project or all."""
    query = select(quotas).order_by(quotas.c.project_id)
    if project_id is not None:
        query = query.where(quotas.c.project_id == project_id)
    return rows.every(await connection.execute(query), LimitRow)


async def set_limits(connection: Connection, project_id: str, amounts: dict[str, int]) -> None:
    await clear_limits(connection, project_id, list(amounts))
    if amounts:
        new = [{"project_id": project_id, "resource": name, "amount": n} for name, n in amounts.items()]
        await connection.execute(insert(quotas), new)


async def clear_limits(connection: Connection, project_id: str, resources: list[str] | None = None) -> int:
    query = delete(quotas).where(quotas.c.project_id == project_id)
    if resources is not None:
        query = query.where(quotas.c.resource.in_(resources))
    return (await connection.execute(query)).rowcount
