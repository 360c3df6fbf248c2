"""Endpoints of the catalog. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.db import Connection, retried
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.identity import errors
from kilonova.identity.resources.base import Deps, Logic, must_get
from kilonova.identity.resources.regions import RegionId
from kilonova.identity.store.catalog import EndpointRow, endpoints, regions, services
from kilonova.identity.web.body import columns, read
from kilonova.identity.web.checks import crud_rules
from kilonova.identity.web.query import given
from kilonova.identity.web.resource import Resource, crud
from kilonova.identity.web.texts import Id
from kilonova.identity.web.views import Extensible, ListLinks, SelfLink, list_links, self_link, with_extra

Url = Annotated[str, Meta(pattern=r"^[a-zA-Z][a-zA-Z0-9+.-]*:[^\s\x00]+\Z", description="a URL", max_length=2048)]
Interface = Literal["public", "internal", "admin"]


# ---- shapes


class EndpointCreate(Extensible):
    service_id: Id
    interface: Interface
    url: Url
    region_id: RegionId | UnsetType | None = UNSET
    region: RegionId | UnsetType | None = UNSET
    enabled: bool = True


class EndpointUpdate(Extensible):
    service_id: Id | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    region_id: RegionId | UnsetType | None = UNSET
    region: RegionId | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class EndpointCreateBody(View):
    endpoint: EndpointCreate


class EndpointUpdateBody(View):
    endpoint: EndpointUpdate


class Endpoint(Extensible):
    """`region` is the older name of `region_id`."""

    id: str
    interface: str
    service_id: str
    region_id: str | None
    url: str
    enabled: bool
    region: str | None
    links: SelfLink


class EndpointBody(View):
    endpoint: Endpoint


class Endpoints(View):
    endpoints: list[Endpoint]
    links: ListLinks


def view_of(call: Call, row: EndpointRow) -> Any:
    view = Endpoint(
        id=row.id,
        interface=row.interface,
        service_id=row.service_id,
        region_id=row.region_id,
        url=row.url,
        enabled=row.enabled,
        region=row.region_id,
        links=self_link(call, "/v3/endpoints", row.id),
    )
    return with_extra(view, row.extra)


# ---- rules


class EndpointLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[EndpointRow]:
        async with self.database.reading() as connection:
            return await endpoints.find(connection, **filters)

    async def get(self, endpoint_id: str) -> EndpointRow:
        async with self.database.reading() as connection:
            return await must_get(connection, endpoints, errors.EndpointNotFound, endpoint_id)

    @retried
    async def create(self, values: dict[str, Any], *, new_region: bool) -> EndpointRow:
        """`new_region`: the region is made when it is missing, as with the older `region` field."""
        row = values | {"id": self.clock.hex_id()}
        async with self.database.transaction() as tx:
            await self._check(tx.connection, row, new_region)
            await endpoints.add(tx.connection, row)
            made = await must_get(tx.connection, endpoints, errors.EndpointNotFound, row["id"])
        await self.catalog.changed()
        return made

    @retried
    async def update(
        self, endpoint_id: str, values: dict[str, Any], extra: dict[str, Any], *, new_region: bool
    ) -> EndpointRow:
        async with self.database.transaction() as tx:
            row = await must_get(tx.connection, endpoints, errors.EndpointNotFound, endpoint_id, lock=True)
            await self._check(tx.connection, values, new_region)
            await endpoints.change(tx.connection, values | {"extra": row.extra | extra}, id=endpoint_id)
            updated = await must_get(tx.connection, endpoints, errors.EndpointNotFound, endpoint_id)
        await self.catalog.changed()
        return updated

    @retried
    async def delete(self, endpoint_id: str) -> None:
        async with self.database.transaction() as tx:
            if not await endpoints.remove(tx.connection, id=endpoint_id):
                raise errors.EndpointNotFound(id=endpoint_id)
        await self.catalog.changed()

    async def _check(self, connection: Connection, values: dict[str, Any], new_region: bool) -> None:
        service_id, region_id = values.get("service_id"), values.get("region_id")
        if service_id is not None and await services.get(connection, id=service_id) is None:
            raise errors.Missing(attribute="service_id", target="endpoint")
        if region_id is None or await regions.get(connection, id=region_id) is not None:
            return
        if not new_region:
            raise errors.Missing(attribute="region_id", target="endpoint")
        blank: dict[str, Any] = {"parent_region_id": None, "description": "", "extra": {}}
        await regions.add(connection, {"id": region_id} | blank)


# ---- over HTTP


class EndpointHandlers:
    def __init__(self, endpoints: EndpointLogic) -> None:
        self.endpoints = endpoints

    async def list(self, call: Call) -> Reply:
        query = call.query
        filters = given(
            service_id=query.get("service_id"), interface=query.get("interface"), region_id=query.get("region_id")
        )
        rows = await self.endpoints.list(**filters)
        return Reply(Endpoints(endpoints=[view_of(call, row) for row in rows], links=list_links(call, "/v3/endpoints")))

    async def show(self, call: Call, endpoint_id: str) -> Reply:
        return Reply(EndpointBody(endpoint=view_of(call, await self.endpoints.get(endpoint_id))))

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, EndpointCreateBody)
        values, new_region = _with_region(columns(body.endpoint))
        row = await self.endpoints.create(values | {"extra": extra}, new_region=new_region)
        return Reply(EndpointBody(endpoint=view_of(call, row)))

    async def update(self, call: Call, endpoint_id: str) -> Reply:
        body, extra = await read(call, EndpointUpdateBody)
        values, new_region = _with_region(columns(body.endpoint))
        row = await self.endpoints.update(endpoint_id, values, extra, new_region=new_region)
        return Reply(EndpointBody(endpoint=view_of(call, row)))

    async def delete(self, call: Call, endpoint_id: str) -> Reply:
        await self.endpoints.delete(endpoint_id)
        return Reply()


def _with_region(values: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """`region` is the older name of `region_id`, and makes the region where it is missing."""
    older = values.pop("region", None)
    if older is None or values.get("region_id") is not None:
        return values, False
    return values | {"region_id": older}, True


def routes(deps: Deps) -> list[Route]:
    api = EndpointHandlers(EndpointLogic(deps))
    return crud(
        "/v3/endpoints", "endpoint", api, called="an endpoint",
        one=EndpointBody, several=Endpoints, create=EndpointCreateBody, update=EndpointUpdateBody,
    )  # fmt: skip


ENDPOINTS = Resource(routes, crud_rules("endpoint", "endpoints"))
