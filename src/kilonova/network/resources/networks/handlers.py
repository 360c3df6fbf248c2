"""Networks over HTTP."""

from __future__ import annotations

from kilonova.core.policy import PolicyNotAuthorized
from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.resources.base.handlers import Readable, Shape, guard, read_one
from kilonova.network.resources.base.logic import owner
from kilonova.network.resources.networks.logic import NetworkLogic
from kilonova.network.resources.networks.schemas import Network, NetworkCreate, NetworkUpdate

SHAPE = Shape(
    resource="network",
    collection="networks",
    path="networks",
    view=Network,
    constant={"ipv4_address_scope": None, "ipv6_address_scope": None},
)


class Networks(Readable[NetworkLogic]):
    shape = SHAPE

    async def create(self, call: Call) -> Reply:
        bodies, bulk = await self._read_many(call, NetworkCreate)
        async for body in yielding(bodies):
            project_id = owner(call.ctx, body.project_id, body.tenant_id)
            target = {"project_id": project_id, "tenant_id": project_id}
            guard(call, "create", SHAPE, body, see="any_writer")(target, PolicyNotAuthorized(action="create_network"))
        return await self._created(call, await self.logic.create(call.ctx, bodies), bulk)

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, SHAPE, NetworkUpdate)
        return self._one(call, await self.logic.update(call.ctx, id, body, guard(call, "update", SHAPE, body)))

    async def delete(self, call: Call, id: str) -> Reply:
        await self.logic.delete(call.ctx, id, guard(call, "delete", SHAPE))
        return Reply()

    async def availability(self, call: Call) -> Reply:
        return Reply({"network_ip_availabilities": await self.logic.availability(None)})

    async def availability_of(self, call: Call, id: str) -> Reply:
        return Reply({"network_ip_availability": (await self.logic.availability(id))[0]})
