"""What agents host, over HTTP: as lists of routers, networks and agents, without pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.core.web.call import Call, Reply
from kilonova.network.resources.agent_schedulers.logic import AgentSchedulerLogic
from kilonova.network.resources.agent_schedulers.schemas import Added, RouterIn
from kilonova.network.resources.base.bodies import read_shape
from kilonova.network.resources.base.handlers import Replies

Listed = Replies[Any]
"""Of the resource whose objects are listed."""


class AgentSchedulerHandlers:
    def __init__(self, logic: AgentSchedulerLogic, *, routers: Listed, networks: Listed, agents: Listed) -> None:
        self.logic, self.routers, self.networks, self.agents = logic, routers, networks, agents

    async def routers_on(self, call: Call, agent_id: str) -> Reply:
        return _many(call, self.routers, await self.logic.routers_on(agent_id))

    async def agents_of_router(self, call: Call, router_id: str) -> Reply:
        return _many(call, self.agents, await self.logic.agents_of_router(router_id))

    async def networks_on(self, call: Call, agent_id: str) -> Reply:
        return _many(call, self.networks, await self.logic.networks_on(agent_id))

    async def agents_of_network(self, call: Call, network_id: str) -> Reply:
        return _many(call, self.agents, await self.logic.agents_of_network(network_id))

    async def add_router(self, call: Call, agent_id: str) -> Reply:
        asked = await read_shape(call, self.routers.shape, RouterIn)
        await self.logic.add_router(call.ctx, agent_id, asked.router_id)
        return Reply(Added())

    async def remove_router(self, call: Call, agent_id: str, id: str) -> Reply:
        await self.logic.remove_router(call.ctx, agent_id, id)
        return Reply()


def _many(call: Call, listed: Listed, items: Sequence[msgspec.Struct]) -> Reply:
    return listed.many(call, items, fields=frozenset(call.query.getall("fields", [])))
