"""Flavors over HTTP, and their service profiles."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import wrapped
from kilonova.network.resources.base.bodies import read_one
from kilonova.network.resources.base.handlers import Handlers
from kilonova.network.resources.base.shape import Shape
from kilonova.network.resources.flavors.logic import FlavorLogic
from kilonova.network.resources.flavors.schemas import Flavor, ProfileIn
from kilonova.network.resources.service_profiles.schemas import ServiceProfile

PROFILE = Shape(
    name="service_profile", collection="service_profiles", path="service_profiles", view=ServiceProfile, rules={}
)
ASSOCIATED = wrapped(PROFILE.name, Flavor)
"""The flavor, under the name of what was added to it: as upstream answers."""


class FlavorHandlers(Handlers[FlavorLogic]):
    async def associate(self, call: Call, id: str) -> Reply:
        asked = await read_one(call, PROFILE, ProfileIn)
        flavor = await self.logic.associate(id, asked.id, self.guard(call, "create_flavor_service_profile"))
        return Reply(ASSOCIATED(inner=flavor))

    async def dissociate(self, call: Call, id: str, profile_id: str) -> Reply:
        await self.logic.dissociate(id, profile_id, self.guard(call, "delete_flavor_service_profile"))
        return Reply()
