"""Wire shapes of resource providers, inventories and usages."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View, versions

Uuid = Annotated[
    str, Meta(pattern=r"\A[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\Z", description="a UUID")
]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Amount = Annotated[int, Meta(ge=0, le=2147483647)]
Positive = Annotated[int, Meta(ge=1, le=2147483647)]


class ProviderCreate(Body):
    name: Name
    uuid: Uuid | UnsetType = UNSET
    parent_provider_uuid: Annotated[Uuid | UnsetType | None, versions("1.14")] = UNSET


class ProviderUpdate(Body):
    name: Name
    parent_provider_uuid: Annotated[Uuid | UnsetType | None, versions("1.14")] = UNSET


class Link(View):
    rel: str
    href: str


class Provider(View):
    uuid: str
    name: str
    generation: int
    links: list[Link]
    parent_provider_uuid: Annotated[str | None, versions("1.14")] = None
    root_provider_uuid: Annotated[str | None, versions("1.14")] = None


class Providers(View):
    resource_providers: list[Provider]


class InventoryIn(Body):
    total: Positive
    reserved: Amount = 0
    min_unit: Positive = 1
    max_unit: Positive = 2147483647
    step_size: Positive = 1
    allocation_ratio: Annotated[float, Meta(gt=0, le=3.40282e38)] = 1.0


class Inventory(View):
    total: int
    reserved: int
    min_unit: int
    max_unit: int
    step_size: int
    allocation_ratio: float


class InventoriesPut(Body):
    resource_provider_generation: Amount
    inventories: dict[str, InventoryIn]


class Inventories(View):
    resource_provider_generation: int
    inventories: dict[str, Inventory]


class Usages(View):
    resource_provider_generation: int | UnsetType = UNSET
    usages: dict[str, int] = msgspec.field(default_factory=dict)


class ClassUsage(View):
    capacity: int
    used: int


class ProviderSummary(View):
    """What the scheduler reads of every provider at once."""

    uuid: str
    name: str
    resources: dict[str, ClassUsage]


class ProviderSummaries(View):
    provider_summaries: list[ProviderSummary]
