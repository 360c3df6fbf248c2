"""Rules of agents and availability zones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from kilonova.core.clock import iso, parse_iso
from kilonova.core.context import RequestContext
from kilonova.core.db import Row, retried
from kilonova.network import errors
from kilonova.network.agent.interface import TUNNEL_IP, AgentState
from kilonova.network.resources.agents.schemas import Agent, AgentUpdate
from kilonova.network.resources.base.logic import Deps
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.store import agents as store
from kilonova.network.store import networks, resources
from kilonova.network.tables import agents

TOPIC = "network_agent"
PLAIN = (
    "id", "agent_type", "binary", "host", "topic", "availability_zone", "admin_state_up", "description", "configurations",
)  # fmt: skip
TIMES = ("created_at", "started_at", "heartbeat_timestamp")


class AgentLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    @retried
    async def heartbeat(self, ctx: RequestContext, state: AgentState) -> None:
        """Hosts with tunnels to this one get a message when its tunnel address is new or has changed."""
        now = self.deps.now()
        values: dict[str, Any] = {
            "binary": state.binary,
            "availability_zone": state.availability_zone,
            "configurations": state.configurations,
            "started_at": iso(parse_iso(state.started_at)),
            "heartbeat_timestamp": now,
        }
        async with self.deps.database.transaction() as tx:
            known = await store.agent_of(tx.connection, state.agent_type, state.host)
            before = known.configurations.get(TUNNEL_IP) if known is not None else None
            if (before or "") != (state.configurations.get(TUNNEL_IP) or ""):
                await self.deps.announcer.changed(tx, ctx, await networks.beside(tx.connection, state.host))
            if not await store.heartbeat(tx.connection, (state.agent_type, state.host), values):
                new = {"id": self.deps.clock.uuid(), "agent_type": state.agent_type, "host": state.host}
                rest = {"topic": TOPIC, "admin_state_up": True, "description": "", "created_at": now}
                await resources.add(tx.connection, agents, [values | new | rest])

    async def list(self, filters: Filters) -> Sequence[Agent]:
        where = resources.conditions(agents, {k: v for k, v in filters.filters.items() if k != "alive"})
        async with self.deps.database.reading() as connection:
            rows = await resources.page(connection, agents, where, filters)
        if rows is None:
            raise errors.AgentNotFound(id=filters.marker)
        wanted = filters.filters.get("alive")
        return [agent for agent in map(self._view, rows) if wanted is None or agent.alive in wanted]

    async def get(self, agent_id: str) -> Agent:
        async with self.deps.database.reading() as connection:
            row = await resources.get(connection, agents, agent_id)
        if row is None:
            raise errors.AgentNotFound(id=agent_id)
        return self._view(row)

    @retried
    async def update(self, agent_id: str, body: AgentUpdate) -> Agent:
        await self.get(agent_id)
        changes: dict[str, Any] = {}
        if body.admin_state_up is not UNSET:
            changes["admin_state_up"] = body.admin_state_up
        if body.description is not UNSET:
            changes["description"] = body.description or ""
        if changes:
            async with self.deps.database.transaction() as tx:
                await store.change_agent(tx.connection, agent_id, changes)
        return await self.get(agent_id)

    @retried
    async def delete(self, agent_id: str) -> None:
        """A living agent comes back with its next heartbeat."""
        await self.get(agent_id)
        async with self.deps.database.transaction() as tx:
            await store.remove_agent(tx.connection, agent_id)

    async def zones(self) -> Sequence[str]:
        async with self.deps.database.reading() as connection:
            return await store.zones(connection)

    def _view(self, row: Row) -> Agent:
        times: dict[str, Any] = {name: parse_iso(getattr(row, name)).strftime("%Y-%m-%d %H:%M:%S") for name in TIMES}
        alive = row.heartbeat_timestamp >= self.deps.alive_since()
        return Agent(**{name: getattr(row, name) for name in PLAIN}, **times, alive=alive)
