"""Wire shapes of allocations."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View, versions
from kilonova.placement.resources.providers.schemas import Positive, Uuid

Id = Annotated[str, Meta(min_length=1, max_length=255)]

ConsumerType = Annotated[str, Meta(pattern=r"\A[A-Z0-9_]{1,255}\Z", description="1 to 255 of A-Z, 0-9 and _")]


class AllocationIn(Body):
    resources: Annotated[dict[str, Positive], Meta(min_length=1)]


class AllocationsPut(Body):
    """`allocations` maps provider uuids to amounts; it replaces what the consumer held."""

    allocations: dict[str, AllocationIn]
    project_id: Id
    user_id: Id
    consumer_generation: Annotated[int | None, versions("1.28")] = None
    consumer_type: Annotated[ConsumerType | UnsetType, versions("1.38")] = UNSET
    mappings: Annotated[dict[str, list[str]] | UnsetType, versions("1.34")] = UNSET


AllocationsOfMany = dict[Uuid, AllocationsPut]
"""By consumer."""


class Allocation(View):
    resources: dict[str, int]
    generation: int


class Allocations(View):
    allocations: dict[str, Allocation]
    project_id: Annotated[str | UnsetType, versions("1.12")] = UNSET
    user_id: Annotated[str | UnsetType, versions("1.12")] = UNSET
    consumer_generation: Annotated[int | UnsetType, versions("1.28")] = UNSET
    consumer_type: Annotated[str | UnsetType, versions("1.38")] = UNSET


class ProviderAllocation(View):
    resources: dict[str, int]
    consumer_generation: Annotated[int | UnsetType, versions("1.28")] = UNSET


class ProviderAllocations(View):
    allocations: dict[str, ProviderAllocation]
    resource_provider_generation: int


class ProjectUsages(View):
    """Units in use by resource class."""

    usages: dict[str, int]


class ProjectUsagesByType(View):
    """By consumer type, units in use by resource class and the number of consumers (`consumer_count`)."""

    usages: dict[str, dict[str, int]]
