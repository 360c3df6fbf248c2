"""Wire shapes of regions, services and endpoints."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import View
from kilonova.identity.web.texts import Id, Name, Text

RegionId = Annotated[str, Meta(pattern=r"^[^/\x00]*\Z", description="text without slashes", max_length=255)]
Url = Annotated[str, Meta(pattern=r"^[a-zA-Z][a-zA-Z0-9+.-]*:[^\s\x00]+\Z", description="a URL", max_length=2048)]
Interface = Literal["public", "internal", "admin"]


class RegionCreate(View):
    id: RegionId | None = None
    description: Text | None = None
    parent_region_id: RegionId | None = None


class RegionUpdate(View):
    description: Text | UnsetType | None = UNSET
    parent_region_id: RegionId | UnsetType | None = UNSET


class ServiceCreate(View):
    type: Name
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool = True


class ServiceUpdate(View):
    type: Name | UnsetType = UNSET
    name: Text | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class EndpointCreate(View):
    service_id: Id
    interface: Interface
    url: Url
    region_id: RegionId | UnsetType | None = UNSET
    region: RegionId | UnsetType | None = UNSET
    enabled: bool = True


class EndpointUpdate(View):
    service_id: Id | UnsetType = UNSET
    interface: Interface | UnsetType = UNSET
    url: Url | UnsetType = UNSET
    region_id: RegionId | UnsetType | None = UNSET
    region: RegionId | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
