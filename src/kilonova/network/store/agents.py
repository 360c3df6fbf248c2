"""SQL of agents."""

from __future__ import annotations

from collections.abc import Sequence
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


AGENTS = Objects(agents, AgentRow)


def alive(since: str, *, alive: bool) -> Condition:
    """Agents with a heartbeat since then, or those without."""
    beats: Condition = agents.c.heartbeat_timestamp >= since
    return beats if alive else ~beats


async def heartbeat(connection: Connection, key: tuple[str, str], values: dict[str, Any]) -> bool:
    """Renew the agent (type, host); False when it is not known yet."""
    result = await connection.execute(
        update(agents).where(agents.c.agent_type == key[0], agents.c.host == key[1]).values(**values)
    )
    return result.rowcount > 0


async def agent_of(connection: Connection, agent_type: str, host: str) -> AgentRow | None:
    query = select(agents).where(agents.c.agent_type == agent_type, agents.c.host == host)
    return rows.first(await connection.execute(query), AgentRow)


async def change(connection: Connection, agent_id: str, values: dict[str, Any]) -> None:
    await connection.execute(update(agents).where(agents.c.id == agent_id).values(**values))


async def remove(connection: Connection, agent_id: str) -> None:
    await connection.execute(delete(agents).where(agents.c.id == agent_id))


async def zones(connection: Connection) -> Sequence[str]:
    return (await connection.execute(select(agents.c.availability_zone).distinct())).scalars().all()
