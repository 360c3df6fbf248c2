"""Routes of flavors."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.flavors import schemas as shapes
from kilonova.compute.resources.flavors.handlers import Flavors
from kilonova.compute.resources.flavors.logic import FlavorLogic
from kilonova.compute.resources.flavors.policies import MANAGE, READ, RULES
from kilonova.compute.web.parameters import PAGE, known
from kilonova.core.web.app import Route

LISTED = known("2.75", *PAGE, "is_public", "minRam", "minDisk", "sort_key", "sort_dir", later={"name": "2.102"})


def routes(deps: Deps) -> list[Route]:
    flavors = Flavors(FlavorLogic(deps.database, deps.clock), deps.clock)
    every, one, body = V + "/flavors", V + "/flavors/{flavor_id:str}", shapes.FlavorBody
    return [
        Route("GET", every, flavors.list, READ, reply=shapes.FlavorBriefs, summary="List flavors."),
        Route(
            "GET", every + "/detail", flavors.detail, READ, reply=shapes.Flavors, summary="List flavors with details."
        ),
        Route(
            "POST", every, flavors.create, f"{MANAGE}:create", body=shapes.FlavorCreate, reply=body,
            summary="Create a flavor.",
        ),
        Route("GET", one, flavors.show, READ, reply=body, summary="Show a flavor."),
        Route(
            "PUT", one, flavors.update, f"{MANAGE}:update", since="2.55", body=shapes.FlavorUpdate, reply=body,
            summary="Change a flavor's description.",
        ),
        Route("DELETE", one, flavors.delete, f"{MANAGE}:delete", 202, summary="Delete a flavor."),
    ]  # fmt: skip


FLAVORS = Resource(routes, RULES, {"GET /flavors": LISTED, "GET /flavors/detail": LISTED})
