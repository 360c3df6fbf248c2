"""Address groups over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.network.resources.address_groups.logic import AddressGroupLogic
from kilonova.network.resources.address_groups.schemas import AddressesIn
from kilonova.network.resources.base.bodies import read_shape
from kilonova.network.resources.base.handlers import Handlers


class AddressGroupHandlers(Handlers[AddressGroupLogic]):
    async def add_addresses(self, call: Call, id: str) -> Reply:
        return await self._change(call, id, add=True)

    async def remove_addresses(self, call: Call, id: str) -> Reply:
        return await self._change(call, id, add=False)

    async def _change(self, call: Call, id: str, *, add: bool) -> Reply:
        asked = await read_shape(call, self.shape, AddressesIn)
        allowed = self.guard(call, "update")
        return self.one(call, await self.logic.change_addresses(call.ctx, id, asked.addresses, allowed, add=add))
