"""Ports over HTTP."""

from __future__ import annotations

from kilonova.core.addresses import parse_mac
from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.hosts.grants import acting
from kilonova.network.resources.base.handlers import Readable, Shape, guard, read_one
from kilonova.network.resources.ports.creation import PortCreation
from kilonova.network.resources.ports.logic import PortLogic
from kilonova.network.resources.ports.schemas import Port, PortCreate, PortUpdate

SHAPE = Shape(
    resource="port",
    collection="ports",
    path="ports",
    view=Port,
    extra=frozenset({"fixed_ips", "security_groups"}),
    addresses={"mac_address": parse_mac},
    derived=frozenset({"binding:vif_type"}),
)


class Ports(Readable[PortLogic]):
    shape = SHAPE

    def __init__(self, logic: PortLogic) -> None:
        super().__init__(logic)
        self.creation = PortCreation(logic)

    async def create(self, call: Call) -> Reply:
        bodies, bulk = await self._read_many(call, PortCreate)
        guards = [guard(call, "create", SHAPE, body, see="see_network") async for body in yielding(bodies)]
        return await self._created(call, await self.creation.create(acting(call.ctx), bodies, guards), bulk)

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, SHAPE, PortUpdate)
        return self._one(call, await self.logic.update(call.ctx, id, body, guard(call, "update", SHAPE, body)))

    async def delete(self, call: Call, id: str) -> Reply:
        await self.logic.delete(call.ctx, id, guard(call, "delete", SHAPE))
        return Reply()
