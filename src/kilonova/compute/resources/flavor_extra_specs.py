"""Extra specs of flavors."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kilonova.compute.policy_checks import READER
from kilonova.compute.properties import spec_faults
from kilonova.compute.resources.base import Deps, R, Resource, V
from kilonova.compute.resources.flavors.logic import visible
from kilonova.compute.store import flavors as store
from kilonova.compute.web.fields import Line, MetadataKey
from kilonova.compute.web.query import at_least
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.errors import BadRequest, NotFound
from kilonova.core.policy import ADMIN
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.wire import Body, View

RULE = f"{R}:os-flavor-extra-specs"
RULES = {
    f"{RULE}:index": READER,
    f"{RULE}:show": READER,
    f"{RULE}:create": ADMIN,
    f"{RULE}:update": ADMIN,
    f"{RULE}:delete": ADMIN,
}
SpecValue = Line | float
GivenSpecs = Annotated[dict[MetadataKey, SpecValue], Meta(min_length=1)]
Specs = dict[str, str]


class ExtraSpecNotFound(NotFound):
    template = "Flavor {flavor_id} has no extra specs with key {key}."


class InvalidExtraSpec(BadRequest):
    template = "Validation failed; {reason}."


class SpecsGiven(Body, kw_only=True):
    extra_specs: GivenSpecs


class SpecsBody(View, kw_only=True):
    extra_specs: Specs


class ExtraSpecLogic:
    def __init__(self, database: Database) -> None:
        self.database = database

    async def get(self, ctx: RequestContext, flavorid: str) -> Specs:
        async with self.database.reading() as connection:
            specs: Specs = (await visible(connection, ctx, flavorid)).extra_specs
        return specs

    @retried
    async def set(self, ctx: RequestContext, flavorid: str, specs: Specs) -> None:
        """Add to the extra specs, or replace some."""
        async with self.database.transaction() as tx:
            row = await visible(tx.connection, ctx, flavorid, lock=True)
            await store.change(tx.connection, row.id, {"extra_specs": row.extra_specs | specs})

    @retried
    async def delete(self, ctx: RequestContext, flavorid: str, key: str) -> None:
        async with self.database.transaction() as tx:
            row = await visible(tx.connection, ctx, flavorid, lock=True)
            if key not in row.extra_specs:
                raise ExtraSpecNotFound(flavor_id=flavorid, key=key)
            kept = {name: value for name, value in row.extra_specs.items() if name != key}
            await store.change(tx.connection, row.id, {"extra_specs": kept})


class ExtraSpecs:
    def __init__(self, logic: ExtraSpecLogic) -> None:
        self.logic = logic

    async def list(self, call: Call, flavor_id: str) -> Reply:
        return Reply(SpecsBody(extra_specs=await self.logic.get(call.ctx, flavor_id)))

    async def create(self, call: Call, flavor_id: str) -> Reply:
        specs = _texts(call, (await call.decode(SpecsGiven)).extra_specs)
        await self.logic.set(call.ctx, flavor_id, specs)
        return Reply(SpecsBody(extra_specs=specs))

    async def show(self, call: Call, flavor_id: str, key: str) -> Reply:
        specs = await self.logic.get(call.ctx, flavor_id)
        if key not in specs:
            raise ExtraSpecNotFound(flavor_id=flavor_id, key=key)
        return Reply({key: specs[key]})

    async def update(self, call: Call, flavor_id: str, key: str) -> Reply:
        specs = _texts(call, await call.decode(GivenSpecs))
        if list(specs) != [key]:
            raise InvalidInput(reason="Request body and URI mismatch")
        await self.logic.set(call.ctx, flavor_id, specs)
        return Reply(specs)

    async def delete(self, call: Call, flavor_id: str, key: str) -> Reply:
        await self.logic.delete(call.ctx, flavor_id, key)
        return Reply()


def _texts(call: Call, given: dict[str, str | float]) -> Specs:
    """As they are kept; since 2.86 only those that there are, with values that they have."""
    specs = {key: value if isinstance(value, str) else f"{value:g}" for key, value in given.items()}
    if at_least(call, "2.86") and (fault := next(spec_faults(specs, to_launch=False), None)):
        raise InvalidExtraSpec(reason=fault)
    return specs


def routes(deps: Deps) -> list[Route]:
    every = V + "/flavors/{flavor_id:str}/os-extra_specs"
    one, specs = every + "/{key:str}", ExtraSpecs(ExtraSpecLogic(deps.database))
    return [
        Route("GET", every, specs.list, f"{RULE}:index", reply=SpecsBody, summary="List a flavor's extra specs."),
        Route(
            "POST", every, specs.create, f"{RULE}:create", body=SpecsGiven, reply=SpecsBody,
            summary="Add extra specs to a flavor, or replace some.",
        ),
        Route("GET", one, specs.show, f"{RULE}:show", reply=Specs, summary="Show an extra spec of a flavor."),
        Route(
            "PUT", one, specs.update, f"{RULE}:update", body=GivenSpecs, reply=Specs,
            summary="Set an extra spec of a flavor.",
        ),
        Route("DELETE", one, specs.delete, f"{RULE}:delete", summary="Delete an extra spec of a flavor."),
    ]  # fmt: skip


FLAVOR_EXTRA_SPECS = Resource(routes, RULES)
