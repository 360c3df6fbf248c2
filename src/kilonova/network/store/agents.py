"""SQL of agents and quotas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, Table, delete, func, select, update

from kilonova.core.db import Connection, Row
from kilonova.core.db.prepared import insert, prepared
from kilonova.network.tables import agents, networks, ports, quotas, security_group_rules, security_groups, subnets

COUNTED: Mapping[str, Table] = {
    "network": networks,
    "subnet": subnets,
    "port": ports,
    "security_group": security_groups,
    "security_group_rule": security_group_rules,
}
"""What quotas limit."""


async def heartbeat(connection: Connection, key: tuple[str, str], values: dict[str, Any]) -> bool:
    """Renew the agent (type, host); False when it is not known yet."""
    result = await connection.execute(
        update(agents).where(agents.c.agent_type == key[0], agents.c.host == key[1]).values(**values)
    )
    return result.rowcount > 0


async def agent_of(connection: Connection, agent_type: str, host: str) -> Row | None:
    query = select(agents).where(agents.c.agent_type == agent_type, agents.c.host == host)
    return (await connection.execute(query)).first()


async def change_agent(connection: Connection, agent_id: str, values: dict[str, Any]) -> None:
    await connection.execute(update(agents).where(agents.c.id == agent_id).values(**values))


async def remove_agent(connection: Connection, agent_id: str) -> None:
    await connection.execute(delete(agents).where(agents.c.id == agent_id))


async def zones(connection: Connection) -> Sequence[str]:
    return (await connection.execute(select(agents.c.availability_zone).distinct())).scalars().all()


async def usage(connection: Connection, project_id: str, resource: str) -> tuple[int, int | None]:
    """(how many the project has, its own limit if any) in one statement."""
    row = (await connection.execute(*_usage(project_id, resource, table=COUNTED[resource]))).one()
    return row.used, row.amount


@prepared
def _usage(project_id: Any, resource: Any, *, table: Table) -> Select[Any]:
    used = select(func.count()).select_from(table).where(table.c.project_id == project_id).scalar_subquery()
    limit = (
        select(quotas.c.amount)
        .where(quotas.c.project_id == project_id, quotas.c.resource == resource)
        .scalar_subquery()
    )
    return select(used.label("used"), limit.label("amount"))


async def limits(connection: Connection, project_id: str | None = None) -> Sequence[Row]:
    """(project_id, resource, amount) that were set, of one project or all."""
    query = select(quotas).order_by(quotas.c.project_id)
    if project_id is not None:
        query = query.where(quotas.c.project_id == project_id)
    return (await connection.execute(query)).all()


async def set_limits(connection: Connection, project_id: str, amounts: dict[str, int]) -> None:
    await clear_limits(connection, project_id, list(amounts))
    if amounts:
        rows = [{"project_id": project_id, "resource": name, "amount": n} for name, n in amounts.items()]
        await connection.execute(insert(quotas), rows)


async def clear_limits(connection: Connection, project_id: str, resources: list[str] | None = None) -> int:
    query = delete(quotas).where(quotas.c.project_id == project_id)
    if resources is not None:
        query = query.where(quotas.c.resource.in_(resources))
    return (await connection.execute(query)).rowcount
