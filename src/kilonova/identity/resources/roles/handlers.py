"""Roles, and which implies which, over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.identity.resources.roles import schemas as shapes
from kilonova.identity.resources.roles import views
from kilonova.identity.resources.roles.logic import RoleLogic
from kilonova.identity.store.roles import RoleRow
from kilonova.identity.web.body import changes, columns, given_options, read
from kilonova.identity.web.query import given
from kilonova.identity.web.views import SelfLink


class Roles:
    def __init__(self, roles: RoleLogic) -> None:
        self.roles = roles

    async def list(self, call: Call) -> Reply:
        filters = given(name=call.query.get("name"))
        rows = await self.roles.list(**filters, domain_id=call.query.get("domain_id") or "")
        return Reply(views.roles(call, "/v3/roles", rows))

    async def show(self, call: Call, role_id: str) -> Reply:
        return Reply(shapes.RoleBody(role=views.role(call, await self.roles.get(role_id))))

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, shapes.RoleCreateBody)
        values = columns(body.role, "options") | {"extra": extra, "options": given_options(body.role.options)}
        return Reply(shapes.RoleBody(role=views.role(call, await self.roles.create(values))))

    async def update(self, call: Call, role_id: str) -> Reply:
        body, extra = await read(call, shapes.RoleUpdateBody)
        row = await self.roles.update(role_id, changes(body.role), extra)
        return Reply(shapes.RoleBody(role=views.role(call, row)))

    async def delete(self, call: Call, role_id: str) -> Reply:
        await self.roles.delete(role_id)
        return Reply()

    async def implied(self, call: Call, prior_role_id: str) -> Reply:
        prior, rows = await self.roles.implied(prior_role_id)
        inference = views.inference(call, prior, rows)
        return Reply(
            shapes.InferenceBody(role_inference=inference, links=_self(call, f"/roles/{prior_role_id}/implies"))
        )

    async def show_implied(self, call: Call, prior_role_id: str, implied_role_id: str) -> Reply:
        return _pair(call, *await self.roles.pair(prior_role_id, implied_role_id))

    async def check_implied(self, call: Call, prior_role_id: str, implied_role_id: str) -> Reply:
        await self.roles.pair(prior_role_id, implied_role_id)
        return Reply()

    async def imply(self, call: Call, prior_role_id: str, implied_role_id: str) -> Reply:
        return _pair(call, *await self.roles.imply(prior_role_id, implied_role_id))

    async def stop_implying(self, call: Call, prior_role_id: str, implied_role_id: str) -> Reply:
        await self.roles.stop_implying(prior_role_id, implied_role_id)
        return Reply()

    async def inferences(self, call: Call) -> Reply:
        found = (await self.roles.inferences()).values()
        inferences = [views.inference(call, prior, rows) for prior, rows in found]
        return Reply(shapes.Inferences(role_inferences=inferences, links=_self(call, "/role_inferences")))


def _self(call: Call, path: str) -> SelfLink:
    return SelfLink(href=f"{call.base_url}/v3{path}")


def _pair(call: Call, prior: RoleRow, implied: RoleRow) -> Reply:
    pair = shapes.Implication(prior_role=views.role(call, prior), implies=views.role(call, implied))
    links = _self(call, f"/roles/{prior.id}/implies/{implied.id}")
    return Reply(shapes.ImplicationBody(role_inference=pair, links=links))
