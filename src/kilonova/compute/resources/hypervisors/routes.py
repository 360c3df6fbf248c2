"""Routes of hypervisors."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.hypervisors import schemas as shapes
from kilonova.compute.resources.hypervisors.handlers import Hypervisors
from kilonova.compute.resources.hypervisors.logic import HypervisorLogic
from kilonova.compute.resources.hypervisors.policies import RULE, RULES
from kilonova.compute.web.parameters import PAGE, known
from kilonova.core.web.app import Route

LISTED = known("2.53", *PAGE, "hypervisor_hostname_pattern", "with_servers")
PARAMETERS = {
    "GET /os-hypervisors": LISTED,
    "GET /os-hypervisors/detail": LISTED,
    "GET /os-hypervisors/{hypervisor_id:str}": known("2.53", "with_servers"),
}


def routes(deps: Deps) -> list[Route]:
    hypervisors = Hypervisors(HypervisorLogic(deps.database, deps.clock, deps.options))
    every, brief = V + "/os-hypervisors", shapes.Hypervisors
    one, named = every + "/{hypervisor_id:str}", every + "/{pattern:str}"
    return [
        Route("GET", every, hypervisors.list, f"{RULE}:list", reply=brief, summary="List hypervisors."),
        Route(
            "GET", every + "/detail", hypervisors.detail, f"{RULE}:list-detail", reply=shapes.HypervisorDetails,
            summary="List hypervisors with details.",
        ),
        Route(
            "GET", every + "/statistics", hypervisors.statistics, f"{RULE}:statistics", until="2.87",
            reply=shapes.StatisticsBody, summary="Sum up what all hypervisors have and use.",
        ),
        Route(
            "GET", one, hypervisors.show, f"{RULE}:show", reply=shapes.HypervisorBody, summary="Show a hypervisor."
        ),
        Route(
            "GET", one + "/uptime", hypervisors.uptime, f"{RULE}:uptime", until="2.87",
            summary="Show how long a hypervisor has been up: not available yet.",
        ),
        Route(
            "GET", named + "/search", hypervisors.search, f"{RULE}:search", until="2.52", reply=brief,
            summary="Find hypervisors by a part of their host name.",
        ),
        Route(
            "GET", named + "/servers", hypervisors.servers, f"{RULE}:servers", until="2.52", reply=brief,
            summary="Find hypervisors by a part of their host name, with their servers.",
        ),
    ]  # fmt: skip


HYPERVISORS = Resource(routes, RULES, PARAMETERS)
