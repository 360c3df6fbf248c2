"""Routes of floating IPs, as compute had them until 2.35."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.floating_ips import schemas as shapes
from kilonova.compute.resources.floating_ips.handlers import FloatingIps
from kilonova.compute.resources.floating_ips.logic import FloatingIpLogic
from kilonova.compute.resources.floating_ips.policies import POOLS, RULE, RULES
from kilonova.core.web.app import Route

LAST = "2.35"


def routes(deps: Deps) -> list[Route]:
    handlers = FloatingIps(FloatingIpLogic(deps.networks))
    every, shown = V + "/os-floating-ips", shapes.FloatingIpBody
    one = every + "/{floating_ip_id:str}"
    return [
        Route(
            "GET", every, handlers.list, f"{RULE}:list", until=LAST, reply=shapes.FloatingIpList,
            summary="List the project's floating IPs.",
        ),
        Route(
            "POST", every, handlers.create, f"{RULE}:create", 200, until=LAST, body=shapes.FloatingIpIn | None,
            reply=shown, summary="Create a floating IP.",
        ),
        Route("GET", one, handlers.show, f"{RULE}:show", until=LAST, reply=shown, summary="Show a floating IP."),
        Route("DELETE", one, handlers.delete, f"{RULE}:delete", 202, until=LAST, summary="Delete a floating IP."),
        Route(
            "GET", V + "/os-floating-ip-pools", handlers.pools, POOLS, until=LAST, reply=shapes.PoolList,
            summary="List the networks that floating IPs are made from.",
        ),
    ]  # fmt: skip


FLOATING_IPS = Resource(routes, RULES)
