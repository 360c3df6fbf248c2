"""Routers over HTTP: their interfaces and routes."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.bodies import read_one, read_shape
from kilonova.network.resources.base.handlers import SeeingHandlers
from kilonova.network.resources.routers.logic import RouterLogic
from kilonova.network.resources.routers.schemas import InterfaceIn, RoutesIn


class RouterHandlers(SeeingHandlers[RouterLogic]):
    async def add_interface(self, call: Call, id: str) -> Reply:
        asked = await read_shape(call, self.shape, InterfaceIn)
        allowed = self.guard(call, "add_router_interface")
        return Reply(await self.logic.add_interface(call.ctx, id, asked, allowed, seeing(call)))

    async def remove_interface(self, call: Call, id: str) -> Reply:
        asked = await read_shape(call, self.shape, InterfaceIn)
        allowed = self.guard(call, "remove_router_interface")
        return Reply(await self.logic.remove_interface(call.ctx, id, asked, allowed, seeing(call)))

    async def add_routes(self, call: Call, id: str) -> Reply:
        asked = await read_one(call, self.shape, RoutesIn)
        allowed = self.guard(call, "add_extraroutes")
        return self.one(call, await self.logic.change_routes(call.ctx, id, asked.routes, allowed, add=True))

    async def remove_routes(self, call: Call, id: str) -> Reply:
        asked = await read_one(call, self.shape, RoutesIn)
        allowed = self.guard(call, "remove_extraroutes")
        return self.one(call, await self.logic.change_routes(call.ctx, id, asked.routes, allowed, add=False))
