"""Regions, services and endpoints over HTTP."""

from __future__ import annotations

from typing import Any

from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.identity.resources.base import given
from kilonova.identity.resources.catalog import schemas as shapes
from kilonova.identity.resources.catalog.logic import EndpointLogic, RegionLogic, ServiceLogic
from kilonova.identity.web import links
from kilonova.identity.web.body import columns, read


class Regions:
    def __init__(self, regions: RegionLogic) -> None:
        self.regions = regions

    async def list(self, call: Call) -> Reply:
        rows = await self.regions.list(**given(parent_region_id=call.query.get("parent_region_id")))
        return Reply(links.listing(call, "/v3/regions", "regions", [links.region(call, row) for row in rows]))

    async def show(self, call: Call, region_id: str) -> Reply:
        return Reply({"region": links.region(call, await self.regions.get(region_id))})

    async def create(self, call: Call, region_id: str | None = None) -> Reply:
        body, extra = await read(call, "region", shapes.RegionCreate)
        if region_id is not None and body.id not in (None, region_id):
            raise InvalidInput(reason="the region's id is not the one in the URL")
        row = await self.regions.create(columns(body) | {"id": region_id or body.id, "extra": extra})
        return Reply({"region": links.region(call, row)})

    async def update(self, call: Call, region_id: str) -> Reply:
        body, extra = await read(call, "region", shapes.RegionUpdate)
        return Reply({"region": links.region(call, await self.regions.update(region_id, columns(body), extra))})

    async def delete(self, call: Call, region_id: str) -> Reply:
        await self.regions.delete(region_id)
        return Reply()


class Services:
    def __init__(self, services: ServiceLogic) -> None:
        self.services = services

    async def list(self, call: Call) -> Reply:
        rows = await self.services.list(**given(type=call.query.get("type"), name=call.query.get("name")))
        return Reply(links.listing(call, "/v3/services", "services", [links.service(call, row) for row in rows]))

    async def show(self, call: Call, service_id: str) -> Reply:
        return Reply({"service": links.service(call, await self.services.get(service_id))})

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, "service", shapes.ServiceCreate)
        return Reply({"service": links.service(call, await self.services.create(columns(body) | {"extra": extra}))})

    async def update(self, call: Call, service_id: str) -> Reply:
        body, extra = await read(call, "service", shapes.ServiceUpdate)
        return Reply({"service": links.service(call, await self.services.update(service_id, columns(body), extra))})

    async def delete(self, call: Call, service_id: str) -> Reply:
        await self.services.delete(service_id)
        return Reply()


class Endpoints:
    def __init__(self, endpoints: EndpointLogic) -> None:
        self.endpoints = endpoints

    async def list(self, call: Call) -> Reply:
        query = call.query
        filters = given(
            service_id=query.get("service_id"), interface=query.get("interface"), region_id=query.get("region_id")
        )
        rows = await self.endpoints.list(**filters)
        return Reply(links.listing(call, "/v3/endpoints", "endpoints", [links.endpoint(call, row) for row in rows]))

    async def show(self, call: Call, endpoint_id: str) -> Reply:
        return Reply({"endpoint": links.endpoint(call, await self.endpoints.get(endpoint_id))})

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, "endpoint", shapes.EndpointCreate)
        values, new_region = _with_region(columns(body))
        row = await self.endpoints.create(values | {"extra": extra}, new_region=new_region)
        return Reply({"endpoint": links.endpoint(call, row)})

    async def update(self, call: Call, endpoint_id: str) -> Reply:
        body, extra = await read(call, "endpoint", shapes.EndpointUpdate)
        values, new_region = _with_region(columns(body))
        row = await self.endpoints.update(endpoint_id, values, extra, new_region=new_region)
        return Reply({"endpoint": links.endpoint(call, row)})

    async def delete(self, call: Call, endpoint_id: str) -> Reply:
        await self.endpoints.delete(endpoint_id)
        return Reply()


def _with_region(values: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """`region` is the older name of `region_id`, and makes the region where it is missing."""
    older = values.pop("region", None)
    if older is None or values.get("region_id") is not None:
        return values, False
    return values | {"region_id": older}, True
