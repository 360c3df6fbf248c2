"""SQL of QoS policies: what has them, and where that is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Select, and_, or_, select

from kilonova.core.db import Connection, rows
from kilonova.core.db.locks import locked
from kilonova.network.store.objects import Objects, OwnedRow, SharedRow, StandardRow
from kilonova.network.tables import agents, networks, ports, qos_policies


class QosPolicyRow(StandardRow, SharedRow):
    is_default: bool


QOS_POLICIES = Objects(qos_policies, QosPolicyRow)


async def defaults(connection: Connection, project_ids: Collection[str]) -> dict[str, str]:
    """Project → its default policy, which stays until the transaction ends."""
    if not project_ids:
        return {}
    query = select(qos_policies.c.id, qos_policies.c.project_id).where(
        qos_policies.c.project_id.in_(sorted(project_ids)), qos_policies.c.is_default
    )
    found = rows.every(await connection.execute(locked(query.order_by(qos_policies.c.id))), OwnedRow)
    return {row.project_id: row.id for row in found}


async def users_of(connection: Connection, policy_id: str) -> set[str]:
    """Projects with networks or ports that have the policy."""
    found: set[str] = set()
    for table in (networks, ports):
        query = select(table.c.project_id).where(table.c.qos_policy_id == policy_id).distinct()
        found |= set((await connection.execute(query)).scalars())
    return found


async def one_user(connection: Connection, policy_id: str) -> tuple[str, str] | None:
    """What has the policy, if anything has: (port or network, id)."""
    for kind, table in (("port", ports), ("network", networks)):
        query = select(table.c.id).where(table.c.qos_policy_id == policy_id).limit(1)
        if found := (await connection.execute(query)).scalar():
            return kind, str(found)
    return None


def _with(policy_id: str) -> Select[Any]:
    """Hosts of the ports that have the policy, of their own or of their network."""
    of_network = and_(ports.c.qos_policy_id.is_(None), networks.c.qos_policy_id == policy_id)
    query = select(ports.c.host_id).join(networks, networks.c.id == ports.c.network_id)
    return query.where(or_(ports.c.qos_policy_id == policy_id, of_network), ports.c.host_id != "")


async def hosts_with(connection: Connection, policy_id: str, alive_since: str) -> Sequence[str]:
    """Those with a living agent; the others ask for everything when they start."""
    query = _with(policy_id).join(agents, agents.c.host == ports.c.host_id)
    return list(
        (await connection.execute(query.where(agents.c.heartbeat_timestamp >= alive_since).distinct())).scalars()
    )
