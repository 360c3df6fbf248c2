"""Floating IPs over HTTP: what the request names beside its own object must be visible to the caller."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.bodies import read_many, read_one
from kilonova.network.resources.base.handlers import Handlers
from kilonova.network.resources.floating_ips.logic import FloatingIPLogic


class FloatingIPHandlers(Handlers[FloatingIPLogic]):
    async def create(self, call: Call) -> Reply:
        bodies, bulk = await read_many(call, self.shape, self.logic.deps.options.max_bulk)
        guards = [self.guard(call, "create", body, see=self.shape.see_new) async for body in yielding(bodies)]
        items = await self.logic.create(call.ctx, bodies, guards, seeing(call))
        return self.many(call, items) if bulk else self.one(call, items[0])

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, self.shape)
        item = await self.logic.update(call.ctx, id, body, self.guard(call, "update", body), seeing(call))
        return self.one(call, item)
