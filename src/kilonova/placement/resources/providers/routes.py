"""Routes of resource providers, their inventories and usages."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.resource import Resource
from kilonova.placement.resources.base import Deps
from kilonova.placement.resources.providers import schemas as shapes
from kilonova.placement.resources.providers.handlers import Providers
from kilonova.placement.resources.providers.logic import ProviderLogic
from kilonova.placement.resources.providers.policies import BASE, RULES

ALL, ONE = "/resource_providers", "/resource_providers/{uuid:str}"


def routes(deps: Deps) -> list[Route]:
    providers = Providers(ProviderLogic(deps.database, deps.clock))
    return [
        Route(
            "GET", ALL, providers.list, f"{BASE}:list", reply=shapes.Providers, summary="List resource providers."
        ),
        Route(
            "POST", ALL, providers.create, f"{BASE}:create", body=shapes.ProviderCreate, reply=shapes.Provider | None,
            summary="Create a resource provider; it is shown since 1.20, with status 201 and no body before.",
        ),
        Route("GET", ONE, providers.show, f"{BASE}:show", reply=shapes.Provider, summary="Show a resource provider."),
        Route(
            "PUT", ONE, providers.update, f"{BASE}:update", body=shapes.ProviderUpdate, reply=shapes.Provider,
            summary="Rename a resource provider, or give it another parent.",
        ),
        Route(
            "DELETE", ONE, providers.delete, f"{BASE}:delete", 204,
            summary="Delete a resource provider that has neither children nor allocations.",
        ),
        Route(
            "GET", ONE + "/inventories", providers.inventories, f"{BASE}:inventories:list", reply=shapes.Inventories,
            summary="List a resource provider's inventories by resource class.",
        ),
        Route(
            "PUT", ONE + "/inventories", providers.set_inventories, f"{BASE}:inventories:update",
            body=shapes.InventoriesPut, reply=shapes.Inventories,
            summary="Replace all inventories of a resource provider.",
        ),
        Route(
            "GET", ONE + "/usages", providers.usages, f"{BASE}:usages", reply=shapes.Usages,
            summary="Show how much of each resource class of a resource provider is in use.",
        ),
        # not upstream's: the scheduler reads all providers at once
        Route(
            "GET", "/provider_summaries", providers.summaries, f"{BASE}:list", reply=shapes.ProviderSummaries,
            summary="List capacity and usage of all resource providers, or of those that `changed_within` so many seconds.",
        ),
    ]  # fmt: skip


PROVIDERS = Resource(routes, RULES)
