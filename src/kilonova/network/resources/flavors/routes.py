"""Flavors: what the API knows of them."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped
from kilonova.network.resources.base.resource import ID, V2, CrudResource, Extension
from kilonova.network.resources.flavors.handlers import ASSOCIATED, FlavorHandlers
from kilonova.network.resources.flavors.logic import FlavorLogic
from kilonova.network.resources.flavors.policies import RULES
from kilonova.network.resources.flavors.schemas import Flavor, FlavorCreate, FlavorUpdate, ProfileIn


def _more(handlers: FlavorHandlers) -> list[Route]:
    profiles = f"{V2}/flavors{ID}/service_profiles"
    return [
        Route(
            "POST", profiles, handlers.associate, "create_flavor_service_profile", 201,
            body=wrapped("service_profile", ProfileIn), reply=ASSOCIATED, summary="Add a service profile to a flavor.",
        ),
        Route(
            "DELETE", f"{profiles}/{{profile_id:str}}", handlers.dissociate, "delete_flavor_service_profile", 204,
            summary="Remove a service profile from a flavor.",
        ),
    ]  # fmt: skip


FLAVORS_RESOURCE = CrudResource(
    name="flavor",
    collection="flavors",
    path="flavors",
    view=Flavor,
    create=FlavorCreate,
    update=FlavorUpdate,
    rules=RULES,
    logic=FlavorLogic,
    handlers=FlavorHandlers,
    more=_more,
    extensions=(
        Extension("flavors", "Neutron Service Flavors", "2015-09-17T10:00:00-00:00", "Flavors and service profiles"),
    ),
)
