"""Agents and availability zones over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.network.resources.agents.logic import AgentLogic
from kilonova.network.resources.agents.schemas import Agent, AgentUpdate
from kilonova.network.resources.base.handlers import Shape, listed, read_filters, read_one, show

SHAPE = Shape(
    resource="agent",
    collection="agents",
    path="agents",
    view=Agent,
    derived=frozenset({"resources_synced"}),
)


class Agents:
    def __init__(self, logic: AgentLogic, zone: str) -> None:
        self.logic, self.zone = logic, zone

    async def list(self, call: Call) -> Reply:
        filters, _ = read_filters(call, SHAPE)
        return listed(call, SHAPE, await self.logic.list(filters), filters)

    async def show(self, call: Call, id: str) -> Reply:
        return Reply({"agent": show(call, SHAPE, await self.logic.get(id))})

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, SHAPE, AgentUpdate)
        return Reply({"agent": show(call, SHAPE, await self.logic.update(id, body))})

    async def delete(self, call: Call, id: str) -> Reply:
        await self.logic.delete(id)
        return Reply()

    async def zones(self, call: Call) -> Reply:
        names = sorted({self.zone, *await self.logic.zones()})
        zones = [{"name": name, "resource": "network", "state": "available"} for name in names]
        return Reply({"availability_zones": zones})
