"""Subnet pools over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.bodies import read_shape
from kilonova.network.resources.base.handlers import SeeingHandlers
from kilonova.network.resources.base.shared_handlers import SharedHandlers
from kilonova.network.resources.subnetpools.logic import SubnetPoolLogic
from kilonova.network.resources.subnetpools.schemas import OnboardIn, PrefixesIn, PrefixesOut


class SubnetPoolHandlers(SharedHandlers[SubnetPoolLogic], SeeingHandlers[SubnetPoolLogic]):
    async def add_prefixes(self, call: Call, id: str) -> Reply:
        asked = await read_shape(call, self.shape, PrefixesIn)
        found = await self.logic.add_prefixes(call.ctx, id, asked.prefixes, self.guard(call, "add_prefixes"))
        return Reply(PrefixesOut(prefixes=found))

    async def remove_prefixes(self, call: Call, id: str) -> Reply:
        asked = await read_shape(call, self.shape, PrefixesIn)
        found = await self.logic.remove_prefixes(call.ctx, id, asked.prefixes, self.guard(call, "remove_prefixes"))
        return Reply(PrefixesOut(prefixes=found))

    async def onboard(self, call: Call, id: str) -> Reply:
        asked = await read_shape(call, self.shape, OnboardIn)
        allowed = self.guard(call, "onboard_network_subnets")
        return Reply(await self.logic.onboard(call.ctx, id, asked.network_id, allowed, seeing(call)))
