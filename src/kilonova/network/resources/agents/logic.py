"""Rules of agents and availability zones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.clock import iso, parse_iso
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried
from kilonova.network import errors
from kilonova.network.agent.interface import L3_AGENT, MAKES_ROUTERS, TUNNEL_IP, AgentState
from kilonova.network.hosts.router_hosts import settle_unplaced
from kilonova.network.resources.agents.schemas import Agent, AgentUpdate
from kilonova.network.resources.base.columns import changes_of
from kilonova.network.resources.base.facts import Guard
from kilonova.network.resources.base.logic import Conditions, ReadLogic
from kilonova.network.store import agents as store
from kilonova.network.store import feeds
from kilonova.network.store import networks as network_store
from kilonova.network.store.agents import AGENTS, AgentRow

TOPIC = "network_agent"
PLAIN = (
    "id", "agent_type", "binary", "host", "topic", "availability_zone", "admin_state_up", "description", "configurations",
)  # fmt: skip
TIMES = ("created_at", "started_at", "heartbeat_timestamp")


class AgentLogic(ReadLogic[AgentRow, Agent]):
    objects = AGENTS
    missing = errors.AgentNotFound
    owned = False

    async def views(self, connection: Connection, rows: Sequence[AgentRow]) -> Sequence[Agent]:
        return [self._view(row) for row in rows]

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> Conditions:
        wanted = set(filters.get("alive", ()))
        found = super().conditions(filters)
        return [*found, *(store.alive(self.deps.alive_since(), alive=alive) for alive in wanted if len(wanted) == 1)]

    async def update(self, ctx: RequestContext, agent_id: str, body: AgentUpdate, guard: Guard) -> Agent:
        await self._change(agent_id, changes_of(body), guard)
        return await self.get(agent_id, guard)

    @retried
    async def _change(self, agent_id: str, changes: dict[str, Any], guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            await self.guarded(tx.connection, agent_id, guard)
            if changes:
                await store.change(tx.connection, agent_id, changes)

    @retried
    async def delete(self, ctx: RequestContext, agent_id: str, guard: Guard) -> None:
        """An agent that still runs is registered again with its next heartbeat."""
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, agent_id, guard)
            await store.remove(tx.connection, agent_id)
            await feeds.forget_all(tx.connection, row.host)

    @retried
    async def heartbeat(self, ctx: RequestContext, state: AgentState) -> None:
        """The agent of a host that makes routers is kept as two. When its tunnel address is new or another one, hosts with
        tunnels to it get a message."""
        now = self.deps.now()
        values: dict[str, Any] = {
            "binary": state.binary,
            "availability_zone": state.availability_zone,
            "configurations": state.configurations,
            "started_at": iso(parse_iso(state.started_at)),
            "heartbeat_timestamp": now,
        }
        types = [state.agent_type, *([L3_AGENT] if state.configurations.get(MAKES_ROUTERS) else [])]
        async with self.deps.database.transaction() as tx:
            known = {row.agent_type: row for row in await store.of_host(tx.connection, state.host, types)}
            own = known.get(state.agent_type)
            before = own.configurations.get(TUNNEL_IP) if own is not None else None
            if (before or "") != (state.configurations.get(TUNNEL_IP) or ""):
                await self.deps.announcer.changed(tx, ctx, await network_store.beside(tx.connection, state.host))
            if own is None:
                await feeds.forget_all(tx.connection, state.host)
            else:
                if own.heartbeat_timestamp < self.deps.alive_since():
                    await self.deps.announcer.changed(tx, ctx, [state.host])  # it was left out while it was down
                await feeds.forget(tx.connection, state.host, own.feed_revision)
            if known:
                await store.heartbeat(tx.connection, [row.id for row in known.values()], values)
            rest = {"host": state.host, "topic": TOPIC, "admin_state_up": True, "description": "", "created_at": now}
            new = [{"id": self.deps.clock.uuid(), "agent_type": kind} for kind in types if kind not in known]
            await AGENTS.add(tx.connection, [values | rest | one for one in new])
            if L3_AGENT in types and all(row.admin_state_up for row in known.values()):
                await settle_unplaced(self.deps, tx, ctx, state.configurations)

    def _view(self, row: AgentRow) -> Agent:
        times: dict[str, Any] = {name: parse_iso(getattr(row, name)).strftime("%Y-%m-%d %H:%M:%S") for name in TIMES}
        alive = row.heartbeat_timestamp >= self.deps.alive_since()
        return Agent(**{name: getattr(row, name) for name in PLAIN}, **times, alive=alive)
