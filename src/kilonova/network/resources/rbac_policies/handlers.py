"""RBAC policies over HTTP: the object of a new one must be visible to the caller."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.bodies import read_many
from kilonova.network.resources.base.handlers import Handlers
from kilonova.network.resources.rbac_policies.logic import RbacPolicyLogic


class RbacPolicyHandlers(Handlers[RbacPolicyLogic]):
    async def create(self, call: Call) -> Reply:
        bodies, bulk = await read_many(call, self.shape, self.logic.deps.options.max_bulk)
        guards = [self.guard(call, "create", body, see=self.shape.see_new) async for body in yielding(bodies)]
        items = await self.logic.create_seeing(call.ctx, bodies, guards, seeing(call))
        return self.many(call, items) if bulk else self.one(call, items[0])
