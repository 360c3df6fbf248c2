"""SQL of security groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, or_, select

from kilonova.core.db import Connection
from kilonova.core.db.prepared import prepared
from kilonova.network.store.objects import Objects, SharedRow, StandardRow
from kilonova.network.tables import agents, port_groups, ports, security_group_rules, security_groups


class GroupRow(StandardRow, SharedRow):
    stateful: bool


GROUPS = Objects(security_groups, GroupRow)


async def users_of(connection: Connection, group_id: str) -> set[str]:
    """Projects that have ports in the group."""
    query = select(ports.c.project_id).join(port_groups, port_groups.c.port_id == ports.c.id)
    return set(
        (await connection.execute(query.where(port_groups.c.security_group_id == group_id).distinct())).scalars()
    )


async def in_use(connection: Connection, group_id: str) -> bool:
    query = select(port_groups.c.port_id).where(port_groups.c.security_group_id == group_id).limit(1)
    return (await connection.execute(query)).first() is not None


def groups_naming(address_group_id: str) -> Select[tuple[str]]:
    """The groups with rules that refer to an address group, as a part of a query."""
    named = security_group_rules.c.remote_address_group_id == address_group_id
    return select(security_group_rules.c.security_group_id).where(named)


async def names_address_group(connection: Connection, address_group_id: str) -> bool:
    return (await connection.execute(groups_naming(address_group_id).limit(1))).first() is not None


async def naming_projects(connection: Connection, address_group_id: str) -> set[str]:
    """Projects that have rules which refer to an address group."""
    named = security_group_rules.c.remote_address_group_id == address_group_id
    return set((await connection.execute(select(security_group_rules.c.project_id).where(named).distinct())).scalars())


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
