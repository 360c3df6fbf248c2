"""Routes of allocations and of the usage of projects."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.resource import Resource
from kilonova.placement.resources.allocations import schemas as shapes
from kilonova.placement.resources.allocations.handlers import Allocations
from kilonova.placement.resources.allocations.logic import AllocationLogic
from kilonova.placement.resources.allocations.policies import RULES
from kilonova.placement.resources.base import Deps

ALL, ONE = "/allocations", "/allocations/{consumer:str}"


def routes(deps: Deps) -> list[Route]:
    allocations = Allocations(AllocationLogic(deps.database, deps.clock))
    return [
        Route(
            "GET", ONE, allocations.show, "placement:allocations:list", reply=shapes.Allocations,
            summary="Show what a consumer holds, by resource provider.",
        ),
        Route(
            "PUT", ONE, allocations.replace, "placement:allocations:update", 204, body=shapes.AllocationsPut,
            summary="Replace what a consumer holds: all of it fits, or nothing changes.",
        ),
        Route(
            "POST", ALL, allocations.replace_many, "placement:allocations:manage", 204, body=shapes.AllocationsOfMany,
            summary="Replace what several consumers hold: all of it fits, or nothing changes.",
        ),
        Route(
            "DELETE", ONE, allocations.delete, "placement:allocations:delete", 204,
            summary="Release all that a consumer holds.",
        ),
        Route(
            "GET", "/resource_providers/{uuid:str}/allocations", allocations.of_provider,
            "placement:resource_providers:allocations:list", reply=shapes.ProviderAllocations,
            summary="List the consumers of a resource provider and what they hold of it.",
        ),
        Route(
            "GET", "/usages", allocations.project_usages, "placement:usages", since="1.9",
            reply=shapes.ProjectUsages | shapes.ProjectUsagesByType,
            summary="Show how much a project uses of each resource class; since 1.38 by consumer type.",
        ),
    ]  # fmt: skip


ALLOCATIONS = Resource(routes, RULES)
