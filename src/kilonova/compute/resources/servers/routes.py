"""Routes of servers."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.servers import schemas as shapes
from kilonova.compute.resources.servers import view_schemas as views
from kilonova.compute.resources.servers.below import SERVER
from kilonova.compute.resources.servers.handlers import Servers
from kilonova.compute.resources.servers.launch.checks import LaunchChecks
from kilonova.compute.resources.servers.launch.logic import LaunchLogic
from kilonova.compute.resources.servers.launch.shared_images import SharedImages
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.resources.servers.policies import RULE, RULES
from kilonova.core.web.app import Route


def routes(deps: Deps) -> list[Route]:
    servers, every = _handlers(deps), V + "/servers"
    return [
        Route("GET", every, servers.list, f"{RULE}:index", reply=views.Briefs, summary="List servers."),
        Route(
            "POST", every, servers.create, f"{RULE}:create", 202, body=shapes.ServerCreate,
            reply=views.CreatedBody | views.Reservation, summary="Create a server, or several alike.",
        ),
        Route(
            "GET", every + "/detail", servers.detail, f"{RULE}:detail", reply=views.ServerDetails,
            summary="List servers with details.",
        ),
        Route("GET", SERVER, servers.show, f"{RULE}:show", reply=views.ServerBody, summary="Show a server."),
        Route(
            "PUT", SERVER, servers.update, f"{RULE}:update", body=shapes.ServerUpdate, reply=views.ServerBody,
            summary="Change a server's name, description, addresses or zone.",
        ),
        Route("DELETE", SERVER, servers.delete, f"{RULE}:delete", 204, summary="Delete a server."),
    ]  # fmt: skip


def _handlers(deps: Deps) -> Servers:
    database, clock, options = deps.database, deps.clock, deps.options
    checks = LaunchChecks(database, options, SharedImages(deps.images), deps.networks, deps.volumes)
    return Servers(
        ServerLogic(database, clock, options),
        LaunchLogic(database, clock, options, checks, deps.core.faults),
        ActionLogic(database, clock, options, deps.events, deps.core.grants),
        clock,
        options,
    )


SERVERS = Resource(routes, RULES, {"GET /servers": None, "GET /servers/detail": None})
