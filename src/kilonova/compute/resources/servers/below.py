"""Routes below a server: what it has."""

from __future__ import annotations

from functools import wraps
from typing import Any

import msgspec

from kilonova.compute.resources.base import Deps, V
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply

SERVER = V + "/servers/{server_id:str}"


def below_server(deps: Deps, *routes: Route) -> list[Route]:
    """The routes, the rule of each checked against the server's project and user."""
    servers = ServerLogic(deps.database, deps.clock, deps.options)
    return [_checked(route, servers) for route in routes]


def _checked(route: Route, servers: ServerLogic) -> Route:
    handler = route.handler

    @wraps(handler)
    async def checked(call: Call, *, server_id: str, **params: Any) -> Reply:
        row = await servers.get(call.ctx, server_id, deleted=True)
        call.authorize({"project_id": row.project_id, "user_id": row.user_id})
        return await handler(call, server_id=server_id, **params)

    return msgspec.structs.replace(route, handler=checked)
