"""Services of the catalog. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.db import retried
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.identity import errors
from kilonova.identity.resources.base import Deps, Logic, must_get
from kilonova.identity.store.catalog import ServiceRow, services
from kilonova.identity.web.body import columns, read
from kilonova.identity.web.checks import crud_rules
from kilonova.identity.web.query import given
from kilonova.identity.web.resource import Resource, crud
from kilonova.identity.web.texts import Name, Text
from kilonova.identity.web.views import Extensible, ListLinks, SelfLink, list_links, self_link, with_extra

# ---- shapes


class ServiceCreate(Extensible):
    type: Name
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool = True


class ServiceUpdate(Extensible):
    type: Name | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class ServiceCreateBody(View):
    service: ServiceCreate


class ServiceUpdateBody(View):
    service: ServiceUpdate


class Service(Extensible, kw_only=True):
    id: str
    type: str
    enabled: bool
    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    links: SelfLink


class ServiceBody(View):
    service: Service


class Services(View):
    services: list[Service]
    links: ListLinks


def view_of(call: Call, row: ServiceRow) -> Any:
    view = Service(
        id=row.id,
        type=row.type,
        enabled=row.enabled,
        name=UNSET if row.name is None else row.name,
        description=UNSET if row.description is None else row.description,
        links=self_link(call, "/v3/services", row.id),
    )
    return with_extra(view, row.extra)


# ---- rules


class ServiceLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[ServiceRow]:
        async with self.database.reading() as connection:
            return await services.find(connection, **filters)

    async def get(self, service_id: str) -> ServiceRow:
        async with self.database.reading() as connection:
            return await must_get(connection, services, errors.ServiceNotFound, service_id)

    @retried
    async def create(self, values: dict[str, Any]) -> ServiceRow:
        row = values | {"id": self.clock.hex_id()}
        async with self.database.transaction() as tx:
            await services.add(tx.connection, row)
            made = await must_get(tx.connection, services, errors.ServiceNotFound, row["id"])
        await self.catalog.changed()
        return made

    @retried
    async def update(self, service_id: str, values: dict[str, Any], extra: dict[str, Any]) -> ServiceRow:
        async with self.database.transaction() as tx:
            row = await must_get(tx.connection, services, errors.ServiceNotFound, service_id, lock=True)
            await services.change(tx.connection, values | {"extra": row.extra | extra}, id=service_id)
            updated = await must_get(tx.connection, services, errors.ServiceNotFound, service_id)
        await self.catalog.changed()
        return updated

    @retried
    async def delete(self, service_id: str) -> None:
        """With its endpoints."""
        async with self.database.transaction() as tx:
            if not await services.remove(tx.connection, id=service_id):
                raise errors.ServiceNotFound(id=service_id)
        await self.catalog.changed()


# ---- over HTTP


class ServiceHandlers:
    def __init__(self, services: ServiceLogic) -> None:
        self.services = services

    async def list(self, call: Call) -> Reply:
        rows = await self.services.list(**given(type=call.query.get("type"), name=call.query.get("name")))
        return Reply(Services(services=[view_of(call, row) for row in rows], links=list_links(call, "/v3/services")))

    async def show(self, call: Call, service_id: str) -> Reply:
        return Reply(ServiceBody(service=view_of(call, await self.services.get(service_id))))

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, ServiceCreateBody)
        return Reply(
            ServiceBody(service=view_of(call, await self.services.create(columns(body.service) | {"extra": extra})))
        )

    async def update(self, call: Call, service_id: str) -> Reply:
        body, extra = await read(call, ServiceUpdateBody)
        return Reply(
            ServiceBody(service=view_of(call, await self.services.update(service_id, columns(body.service), extra)))
        )

    async def delete(self, call: Call, service_id: str) -> Reply:
        await self.services.delete(service_id)
        return Reply()


def routes(deps: Deps) -> list[Route]:
    api = ServiceHandlers(ServiceLogic(deps))
    return crud(
        "/v3/services", "service", api,
        one=ServiceBody, several=Services, create=ServiceCreateBody, update=ServiceUpdateBody,
    )  # fmt: skip


SERVICES = Resource(routes, crud_rules("service", "services"))
