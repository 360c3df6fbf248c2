"""Routers over HTTP: what the request names beside the router must be visible to the caller."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.bodies import read_many, read_one, read_shape
from kilonova.network.resources.base.handlers import Handlers
from kilonova.network.resources.routers.logic import RouterLogic
from kilonova.network.resources.routers.schemas import InterfaceIn, RoutesIn


class RouterHandlers(Handlers[RouterLogic]):
    async def create(self, call: Call) -> Reply:
        bodies, bulk = await read_many(call, self.shape, self.logic.deps.options.max_bulk)
        guards = [self.guard(call, "create", body, see=self.shape.see_new) async for body in yielding(bodies)]
        items = await self.logic.create(call.ctx, bodies, guards, seeing(call))
        return self.many(call, items) if bulk else self.one(call, items[0])

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, self.shape)
        item = await self.logic.update(call.ctx, id, body, self.guard(call, "update", body), seeing(call))
        return self.one(call, item)

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
