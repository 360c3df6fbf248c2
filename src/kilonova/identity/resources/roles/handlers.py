"""Roles, and which implies which, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.db import Row
from kilonova.core.web.call import Call, Reply
from kilonova.identity.resources.base import given
from kilonova.identity.resources.roles import schemas as shapes
from kilonova.identity.resources.roles.logic import RoleLogic
from kilonova.identity.web import links
from kilonova.identity.web.body import changes, columns, given_options, read


class Roles:
    def __init__(self, roles: RoleLogic) -> None:
        self.roles = roles

    async def list(self, call: Call) -> Reply:
        filters = given(name=call.query.get("name"))
        rows = await self.roles.list(**filters, domain_id=call.query.get("domain_id") or "")
        return Reply(links.listing(call, "/v3/roles", "roles", [links.role(call, row) for row in rows]))

    async def show(self, call: Call, role_id: str) -> Reply:
        return Reply({"role": links.role(call, await self.roles.get(role_id))})

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, "role", shapes.RoleCreate)
        row = await self.roles.create(
            columns(body, "options") | {"extra": extra, "options": given_options(body.options)}
        )
        return Reply({"role": links.role(call, row)})

    async def update(self, call: Call, role_id: str) -> Reply:
        body, extra = await read(call, "role", shapes.RoleUpdate)
        row = await self.roles.update(role_id, changes(body), extra)
        return Reply({"role": links.role(call, row)})

    async def delete(self, call: Call, role_id: str) -> Reply:
        await self.roles.delete(role_id)
        return Reply()

    async def implied(self, call: Call, prior_role_id: str) -> Reply:
        prior, rows = await self.roles.implied(prior_role_id)
        return Reply({"role_inference": _inference(call, prior, rows)} | _self(call, f"/roles/{prior_role_id}/implies"))

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
        body = {"role_inferences": [_inference(call, prior, rows) for prior, rows in found]}
        return Reply(body | _self(call, "/role_inferences"))


def _self(call: Call, path: str) -> dict[str, Any]:
    return {"links": {"self": f"{call.base_url}/v3{path}"}}


def _inference(call: Call, prior: Row, rows: Sequence[Row]) -> dict[str, Any]:
    return {"prior_role": links.role(call, prior), "implies": [links.role(call, row) for row in rows]}


def _pair(call: Call, prior: Row, implied: Row) -> Reply:
    body = {"prior_role": links.role(call, prior), "implies": links.role(call, implied)}
    return Reply({"role_inference": body} | _self(call, f"/roles/{prior.id}/implies/{implied.id}"))
