"""Subnets over HTTP."""

from __future__ import annotations

from kilonova.core.addresses import parse_address, parse_network
from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.resources.base.handlers import Readable, Shape, guard, read_one
from kilonova.network.resources.subnets.logic import SubnetLogic
from kilonova.network.resources.subnets.schemas import Subnet, SubnetCreate, SubnetUpdate

SHAPE = Shape(
    resource="subnet",
    collection="subnets",
    path="subnets",
    view=Subnet,
    addresses={"cidr": parse_network, "gateway_ip": parse_address},
    derived=frozenset({"router:external"}),
    constant={"ipv6_ra_mode": None, "ipv6_address_mode": None, "subnetpool_id": None},
)


class Subnets(Readable[SubnetLogic]):
    shape = SHAPE

    async def create(self, call: Call) -> Reply:
        bodies, bulk = await self._read_many(call, SubnetCreate)
        guards = [guard(call, "create", SHAPE, body, see="see_network") async for body in yielding(bodies)]
        return await self._created(call, await self.logic.create(call.ctx, bodies, guards), bulk)

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, SHAPE, SubnetUpdate)
        return self._one(call, await self.logic.update(call.ctx, id, body, guard(call, "update", SHAPE, body)))

    async def delete(self, call: Call, id: str) -> Reply:
        await self.logic.delete(call.ctx, id, guard(call, "delete", SHAPE))
        return Reply()
