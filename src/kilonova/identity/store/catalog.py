"""SQL of the catalog: regions, services and their endpoints."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import select, true

from kilonova.core.db import Connection, TypedRow
from kilonova.identity import tables
from kilonova.identity.store.records import Records


class RegionRow(TypedRow):
    id: str
    parent_region_id: str | None
    description: str
    extra: dict[str, Any]


class ServiceRow(TypedRow):
    id: str
    type: str
    name: str | None
    description: str | None
    enabled: bool
    extra: dict[str, Any]


class EndpointRow(TypedRow):
    id: str
    service_id: str
    region_id: str | None
    interface: str
    url: str
    enabled: bool
    extra: dict[str, Any]


regions = Records(tables.regions, RegionRow)
services = Records(tables.services, ServiceRow)
endpoints = Records(tables.endpoints, EndpointRow)


class CatalogRow(msgspec.Struct, frozen=True, array_like=True):
    """An enabled endpoint with its service; the columns of CATALOG."""

    id: str
    interface: str
    region_id: str | None
    url: str
    service_id: str
    service_type: str
    service_name: str | None


_endpoint, _service = tables.endpoints.c, tables.services.c
CATALOG = (
    select(
        _endpoint.id,
        _endpoint.interface,
        _endpoint.region_id,
        _endpoint.url,
        _service.id.label("service_id"),
        _service.type.label("service_type"),
        _service.name.label("service_name"),
    )
    .join(tables.services, _service.id == _endpoint.service_id)
    .where(_endpoint.enabled == true(), _service.enabled == true())
    .order_by(_service.type, _service.id, _endpoint.region_id, _endpoint.interface)
)


async def catalog(connection: Connection) -> list[CatalogRow]:
    """Every enabled endpoint with its service, in a stable order."""
    return [CatalogRow(*row) for row in (await connection.execute(CATALOG)).all()]
