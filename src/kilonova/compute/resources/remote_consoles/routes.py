"""Routes of remote consoles."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.remote_consoles import schemas as shapes
from kilonova.compute.resources.remote_consoles.handlers import RemoteConsoles
from kilonova.compute.resources.remote_consoles.logic import ConsoleLogic
from kilonova.compute.resources.remote_consoles.policies import CONSOLES, RULES, TOKENS
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.web.parameters import known
from kilonova.core.web.app import Route

ONE = "/os-console-auth-tokens/{token:str}"
PARAMETERS = {f"GET {ONE}": known("2.99")}


def routes(deps: Deps) -> list[Route]:
    logic = ConsoleLogic(deps.database, deps.core.bus, deps.clock, deps.consoles)
    consoles = RemoteConsoles(ServerLogic(deps.database, deps.clock, deps.options), logic)
    return [
        *below_server(
            deps,
            Route(
                "POST", SERVER + "/remote-consoles", consoles.create, CONSOLES, since="2.6", body=shapes.RemoteConsoleCreate,
                reply=shapes.RemoteConsoleBody, summary="Get the URL of a server's console, for one use.",
            ),
        ),
        Route(
            "GET", V + ONE, consoles.connection, TOKENS, reply=shapes.ConnectionBody,
            summary="Show what a console's token is for.",
        ),
    ]  # fmt: skip


REMOTE_CONSOLES = Resource(routes, RULES, PARAMETERS)
