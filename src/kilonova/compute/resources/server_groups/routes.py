"""Routes of server groups."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.server_groups import schemas as shapes
from kilonova.compute.resources.server_groups.handlers import ServerGroups
from kilonova.compute.resources.server_groups.logic import ServerGroupLogic
from kilonova.compute.resources.server_groups.policies import RULE, RULES
from kilonova.compute.web.parameters import known
from kilonova.core.web.app import Route

PARAMETERS = {"GET /os-server-groups": known("2.75", "all_projects", "limit", "offset")}


def routes(deps: Deps) -> list[Route]:
    groups = ServerGroups(ServerGroupLogic(deps.database, deps.clock, deps.options))
    every, one, body = V + "/os-server-groups", V + "/os-server-groups/{group_id:str}", shapes.GroupBody
    return [
        Route("GET", every, groups.list, f"{RULE}:index", reply=shapes.Groups, summary="List server groups."),
        Route(
            "POST", every, groups.create, f"{RULE}:create", body=shapes.GroupCreate, reply=body,
            summary="Create a server group.",
        ),
        Route("GET", one, groups.show, f"{RULE}:show", reply=body, summary="Show a server group."),
        Route("DELETE", one, groups.delete, f"{RULE}:delete", 204, summary="Delete a server group."),
    ]  # fmt: skip


SERVER_GROUPS = Resource(routes, RULES, PARAMETERS)
