"""Routes of a server's interfaces."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.server_interfaces import schemas as shapes
from kilonova.compute.resources.server_interfaces.handlers import Interfaces
from kilonova.compute.resources.server_interfaces.logic import InterfaceLogic
from kilonova.compute.resources.server_interfaces.policies import RULE, RULES
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.core.web.app import Route


def routes(deps: Deps) -> list[Route]:
    actions = ActionLogic(deps.database, deps.clock, deps.options, deps.events, deps.core.grants)
    interfaces = Interfaces(
        ServerLogic(deps.database, deps.clock, deps.options), InterfaceLogic(actions, deps.networks)
    )
    every = SERVER + "/os-interface"
    one = every + "/{port_id:str}"
    return below_server(
        deps,
        Route(
            "GET", every, interfaces.list, f"{RULE}:list", reply=shapes.InterfaceList,
            summary="List a server's interfaces.",
        ),
        Route(
            "POST", every, interfaces.attach, f"{RULE}:create", body=shapes.AttachIn | None, reply=shapes.InterfaceBody,
            summary="Give a server an interface: a port, or one on a network.",
        ),
        Route(
            "GET", one, interfaces.show, f"{RULE}:show", reply=shapes.InterfaceBody,
            summary="Show an interface of a server.",
        ),
        Route(
            "DELETE", one, interfaces.detach, f"{RULE}:delete", 202, summary="Take an interface from a server.",
        ),
    )  # fmt: skip


SERVER_INTERFACES = Resource(routes, RULES)
