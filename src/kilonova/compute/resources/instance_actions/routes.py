"""Routes of what was done to a server."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource
from kilonova.compute.resources.instance_actions import schemas as shapes
from kilonova.compute.resources.instance_actions.handlers import History
from kilonova.compute.resources.instance_actions.logic import HistoryLogic
from kilonova.compute.resources.instance_actions.policies import DECISIONS, RULE, RULES
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.web.parameters import PAGE, known
from kilonova.core.web.app import Route

PARAMETERS = {
    "GET /servers/{server_id:str}/os-instance-actions": known(
        "2.58", *PAGE, "changes-since", later={"changes-before": "2.66"}
    )
}


def routes(deps: Deps) -> list[Route]:
    history = History(HistoryLogic(deps.database))
    every = SERVER + "/os-instance-actions"
    return below_server(
        deps,
        Route(
            "GET", every, history.actions, f"{RULE}:list", reply=shapes.Actions, summary="List what was done to a server."
        ),
        Route(
            "GET", every + "/{request_id:str}", history.action, f"{RULE}:show", reply=shapes.ActionBody,
            summary="Show an action on a server, with its steps.",
        ),
        # not upstream's: for `kilonova explain`
        Route(
            "GET", SERVER + "/os-kilonova-decisions", history.decisions, DECISIONS, reply=shapes.Decisions,
            summary="Show why a server is where it is, or why no host was found for it.",
        ),
    )  # fmt: skip


INSTANCE_ACTIONS = Resource(routes, RULES, PARAMETERS)
