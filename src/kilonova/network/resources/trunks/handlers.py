"""Trunks over HTTP, and their subports."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.bodies import read_many, read_shape
from kilonova.network.resources.base.handlers import Handlers
from kilonova.network.resources.trunks.logic import TrunkLogic
from kilonova.network.resources.trunks.schemas import SubPortsIn, SubPortsView


class TrunkHandlers(Handlers[TrunkLogic]):
    async def create(self, call: Call) -> Reply:
        bodies, bulk = await read_many(call, self.shape, self.logic.deps.options.max_bulk)
        guards = [self.guard(call, "create", body) async for body in yielding(bodies)]
        items = await self.logic.make(call.ctx, bodies, guards, seeing(call))
        return self.many(call, items) if bulk else self.one(call, items[0])

    async def subports(self, call: Call, id: str) -> Reply:
        return Reply(SubPortsView(sub_ports=list(await self.logic.subports(id, self.guard(call, "get_subports")))))

    async def add_subports(self, call: Call, id: str) -> Reply:
        """The answer has no envelope, as upstream's."""
        asked = await read_shape(call, self.shape, SubPortsIn)
        allowed = self.guard(call, "add_subports")
        return Reply(await self.logic.add_subports(call.ctx, id, asked.sub_ports, allowed, seeing(call)))

    async def remove_subports(self, call: Call, id: str) -> Reply:
        asked = await read_shape(call, self.shape, SubPortsIn)
        allowed = self.guard(call, "remove_subports")
        return Reply(await self.logic.remove_subports(call.ctx, id, asked.sub_ports, allowed))
