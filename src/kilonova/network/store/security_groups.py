"""SQL of security groups and their rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, delete, or_, select

from kilonova.core.db import Connection, Row
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import prepared
from kilonova.network.store.resources import Condition
from kilonova.network.tables import agents, port_groups, ports, projects, security_group_rules, security_groups


def groups_seen_by(project_id: str | None) -> Condition:
    return security_groups.c.project_id == project_id


def rules_seen_by(project_id: str | None) -> Condition:
    """A project sees its own rules and all rules of its own groups."""
    own = select(security_groups.c.id).where(security_groups.c.project_id == project_id)
    return or_(security_group_rules.c.project_id == project_id, security_group_rules.c.security_group_id.in_(own))


async def rules_of(connection: Connection, group_ids: Sequence[str]) -> dict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    query = (
        select(security_group_rules)
        .where(security_group_rules.c.security_group_id.in_(group_ids))
        .order_by(security_group_rules.c.created_at, security_group_rules.c.id)
    )
    for row in (await connection.execute(query)).all():
        found[row.security_group_id].append(row)
    return found


async def same_rules(connection: Connection, group_ids: Sequence[str], signatures: Sequence[str]) -> Sequence[Row]:
    """Rules (id, security_group_id, signature) that say the same in these groups."""
    table = security_group_rules.c
    query = select(table.id, table.security_group_id, table.signature).where(
        table.security_group_id.in_(group_ids), table.signature.in_(signatures)
    )
    return (await connection.execute(query)).all()


async def in_use(connection: Connection, group_id: str) -> bool:
    query = select(port_groups.c.port_id).where(port_groups.c.security_group_id == group_id).limit(1)
    return (await connection.execute(query)).first() is not None


async def project(connection: Connection, project_id: str, *, lock: bool = False) -> Row | None:
    """The project's row; locked, so that creations for it are serialized."""
    return (await connection.execute(*_project(project_id, lock=lock))).first()


@prepared
def _project(project_id: Any, *, lock: bool) -> Select[Any]:
    query = select(projects).where(projects.c.project_id == project_id)
    return locked(query) if lock else query


async def is_default(connection: Connection, group_id: str) -> bool:
    query = select(projects.c.project_id).where(projects.c.default_group_id == group_id)
    return (await connection.execute(query)).first() is not None


async def leave_project(connection: Connection, group_id: str) -> None:
    """The project of this default group has none any more."""
    await connection.execute(delete(projects).where(projects.c.default_group_id == group_id))


def groups_of_port(port_id: str) -> Select[tuple[str]]:
    """The groups of a port, as a part of a query."""
    return select(port_groups.c.security_group_id).where(port_groups.c.port_id == port_id)


async def hosts_with(
    connection: Connection, group_ids: Sequence[str] | Select[tuple[str]], alive_since: str
) -> Sequence[str]:
    """Hosts with a living agent that show ports of these groups, or of groups whose rules refer to them."""
    if isinstance(group_ids, Select):
        return list((await connection.execute(_showing(group_ids, alive_since))).scalars())
    return list((await connection.execute(*_showing_groups(list(group_ids), alive_since))).scalars())


@prepared
def _showing_groups(group_ids: Any, alive_since: Any) -> Select[Any]:
    return _showing(group_ids, alive_since)


def _showing(group_ids: Any, alive_since: Any) -> Select[Any]:
    referring = select(security_group_rules.c.security_group_id).where(
        security_group_rules.c.remote_group_id.in_(group_ids)
    )
    return (
        select(ports.c.host_id)
        .join(port_groups, port_groups.c.port_id == ports.c.id)
        .join(agents, agents.c.host == ports.c.host_id)
        .where(
            or_(port_groups.c.security_group_id.in_(group_ids), port_groups.c.security_group_id.in_(referring)),
            ports.c.host_id != "",
            agents.c.heartbeat_timestamp >= alive_since,
        )
        .distinct()
    )
