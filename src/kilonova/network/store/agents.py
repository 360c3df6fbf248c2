"""SQL of agents."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, select, update

from kilonova.core.db import Connection, rows
from kilonova.network.store.objects import ObjectRow, Objects
from kilonova.network.store.tags import Condition
from kilonova.network.tables import agents


class AgentRow(ObjectRow):
    """Times are ISO text."""

    agent_type: str
    binary: str
    host: str
    topic: str
    availability_zone: str
    admin_state_up: bool
    description: str
    configurations: dict[str, Any]
    created_at: str
    started_at: str
    heartbeat_timestamp: str
    feed_revision: int


AGENTS = Objects(agents, AgentRow)


def alive(since: str, *, alive: bool) -> Condition:
    """Agents with a heartbeat since then, or those without."""
    beats: Condition = agents.c.heartbeat_timestamp >= since
    return beats if alive else ~beats


async def heartbeat(connection: Connection, ids: Sequence[str], values: dict[str, Any]) -> None:
    await connection.execute(update(agents).where(agents.c.id.in_(ids)).values(**values))


async def of_host(connection: Connection, host: str, types: Sequence[str]) -> Sequence[AgentRow]:
    """The host's agents of these types."""
    query = select(agents).where(agents.c.host == host, agents.c.agent_type.in_(types))
    return rows.every(await connection.execute(query), AgentRow)


async def agent_of(connection: Connection, agent_type: str, host: str) -> AgentRow | None:
    return next(iter(await of_host(connection, host, [agent_type])), None)


async def of_hosts(connection: Connection, agent_type: str, hosts: Collection[str]) -> Sequence[AgentRow]:
    """These hosts' agents of a type."""
    query = select(agents).where(agents.c.agent_type == agent_type, agents.c.host.in_(list(hosts)))
    return rows.every(await connection.execute(query.order_by(agents.c.host)), AgentRow)


async def placeable(connection: Connection, agent_type: str, since: str) -> Sequence[AgentRow]:
    """Agents of a type with a heartbeat since then, on hosts of which no agent is administratively down."""
    down = select(agents.c.host).where(~agents.c.admin_state_up)
    query = select(agents).where(
        agents.c.agent_type == agent_type, agents.c.heartbeat_timestamp >= since, agents.c.host.not_in(down)
    )
    return rows.every(await connection.execute(query), AgentRow)


async def change(connection: Connection, agent_id: str, values: dict[str, Any]) -> None:
    await connection.execute(update(agents).where(agents.c.id == agent_id).values(**values))


async def remove(connection: Connection, agent_id: str) -> None:
    await connection.execute(delete(agents).where(agents.c.id == agent_id))


async def zones_of(connection: Connection, hosts: Collection[str]) -> dict[str, str]:
    """By host."""
    query = select(agents.c.host, agents.c.availability_zone).where(agents.c.host.in_(sorted(hosts)))
    return {row.host: row.availability_zone for row in (await connection.execute(query)).all()}


async def zones(connection: Connection) -> Sequence[str]:
    return (await connection.execute(select(agents.c.availability_zone).distinct())).scalars().all()
