"""Extra specs and access lists of flavors over HTTP."""

from __future__ import annotations

from msgspec import UnsetType

from kilonova.compute import errors
from kilonova.compute.properties import spec_faults
from kilonova.compute.resources.flavors import schemas as shapes
from kilonova.compute.resources.flavors.logic import FlavorLogic
from kilonova.compute.web.common import at_least
from kilonova.core.web.call import Call, InvalidInput, Reply

RULE = "os_compute_api:os-flavor-access"


class FlavorExtras:
    def __init__(self, logic: FlavorLogic) -> None:
        self.logic = logic

    async def specs(self, call: Call, flavor_id: str) -> Reply:
        return Reply({"extra_specs": (await self.logic.get(call.ctx, flavor_id)).extra_specs})

    async def create_specs(self, call: Call, flavor_id: str) -> Reply:
        specs = _texts(call, (await call.decode(shapes.ExtraSpecsBody)).extra_specs)
        await self.logic.set_specs(call.ctx, flavor_id, specs)
        return Reply({"extra_specs": specs})

    async def spec(self, call: Call, flavor_id: str, key: str) -> Reply:
        specs = (await self.logic.get(call.ctx, flavor_id)).extra_specs
        if key not in specs:
            raise errors.ExtraSpecNotFound(flavor_id=flavor_id, key=key)
        return Reply({key: specs[key]})

    async def update_spec(self, call: Call, flavor_id: str, key: str) -> Reply:
        specs = _texts(call, await call.decode(shapes.ExtraSpecs))
        if list(specs) != [key]:
            raise InvalidInput(reason="Request body and URI mismatch")
        await self.logic.set_specs(call.ctx, flavor_id, specs)
        return Reply(specs)

    async def delete_spec(self, call: Call, flavor_id: str, key: str) -> Reply:
        await self.logic.delete_spec(call.ctx, flavor_id, key)
        return Reply()

    async def access(self, call: Call, flavor_id: str) -> Reply:
        return _access(flavor_id, await self.logic.projects(call.ctx, flavor_id))

    async def action(self, call: Call, flavor_id: str) -> Reply:
        body = await call.decode(shapes.FlavorAction)
        add, remove = body.add_tenant_access, body.remove_tenant_access
        if isinstance(add, UnsetType) == isinstance(remove, UnsetType):
            raise InvalidInput(reason="exactly one action is needed")
        if not isinstance(add, UnsetType):
            call.authorize({}, f"{RULE}:add_tenant_access")
            return _access(flavor_id, await self.logic.grant(call.ctx, flavor_id, add.tenant))
        call.authorize({}, f"{RULE}:remove_tenant_access")
        assert not isinstance(remove, UnsetType)  # noqa: S101 - for the type checker
        return _access(flavor_id, await self.logic.revoke(call.ctx, flavor_id, remove.tenant))


def _access(flavor_id: str, projects: list[str]) -> Reply:
    items = [shapes.Access(flavor_id=flavor_id, tenant_id=project) for project in projects]
    return Reply(shapes.AccessList(flavor_access=items))


def _texts(call: Call, given: dict[str, str | float]) -> dict[str, str]:
    """As they are kept; since 2.86 only those that there are, with values that they have."""
    specs = {key: value if isinstance(value, str) else f"{value:g}" for key, value in given.items()}
    if at_least(call, "2.86") and (fault := next(spec_faults(specs, to_launch=False), None)):
        raise errors.InvalidExtraSpec(reason=fault)
    return specs
