"""Routes of services."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.services import schemas as shapes
from kilonova.compute.resources.services.handlers import Services
from kilonova.compute.resources.services.logic import ServiceLogic
from kilonova.compute.resources.services.policies import RULE, RULES
from kilonova.compute.web.parameters import known
from kilonova.core.web.app import Route


def routes(deps: Deps) -> list[Route]:
    services = Services(ServiceLogic(deps.database, deps.clock, deps.options))
    every, one = V + "/os-services", V + "/os-services/{service_id:str}"
    return [
        Route("GET", every, services.list, f"{RULE}:list", reply=shapes.Services, summary="List services."),
        Route(
            "PUT", one, services.update, f"{RULE}:update", body=shapes.ServiceUpdate | shapes.OldServiceUpdate,
            reply=shapes.ServiceBody | shapes.OldServiceBody,
            summary="Enable or disable a compute service, or force it down.",
        ),
        Route("DELETE", one, services.delete, f"{RULE}:delete", 204, summary="Delete a service."),
    ]  # fmt: skip


SERVICES = Resource(routes, RULES, {"GET /os-services": known("2.75", "host", "binary")})
