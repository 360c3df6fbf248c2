"""Domains over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.identity.resources.domains import schemas as shapes
from kilonova.identity.resources.domains import views
from kilonova.identity.resources.domains.logic import DomainLogic
from kilonova.identity.web.body import changes, columns, given_options, read
from kilonova.identity.web.query import flag, given


class Domains:
    def __init__(self, domains: DomainLogic) -> None:
        self.domains = domains

    async def list(self, call: Call) -> Reply:
        filters = given(name=call.query.get("name"), enabled=flag(call, "enabled"))
        return Reply(views.domains(call, "/v3/domains", await self.domains.list(**filters, is_domain=True)))

    async def show(self, call: Call, domain_id: str) -> Reply:
        return Reply(shapes.DomainBody(domain=views.domain(call, await self.domains.get(domain_id))))

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, shapes.DomainCreateBody)
        domain = body.domain
        values = columns(domain, "options", "explicit_domain_id") | {"extra": extra}
        values["options"] = given_options(domain.options)
        row = await self.domains.create(values, domain.explicit_domain_id)
        return Reply(shapes.DomainBody(domain=views.domain(call, row)))

    async def update(self, call: Call, domain_id: str) -> Reply:
        body, extra = await read(call, shapes.DomainUpdateBody)
        row = await self.domains.update(domain_id, changes(body.domain), extra)
        return Reply(shapes.DomainBody(domain=views.domain(call, row)))

    async def delete(self, call: Call, domain_id: str) -> Reply:
        await self.domains.delete(domain_id)
        return Reply()
