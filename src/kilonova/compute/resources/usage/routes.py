"""Routes of usage reports."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.usage import schemas as shapes
from kilonova.compute.resources.usage.handlers import PATH, Usage
from kilonova.compute.resources.usage.logic import UsageLogic
from kilonova.compute.resources.usage.policies import RULE, RULES
from kilonova.compute.web.parameters import PAGE, known
from kilonova.core.web.app import Route

PARAMETERS = {
    f"GET {PATH}": known("2.75", *PAGE, "start", "end", "detailed"),
    f"GET {PATH}/{{project_id:str}}": known("2.75", *PAGE, "start", "end"),
}


def routes(deps: Deps) -> list[Route]:
    usage = Usage(UsageLogic(deps.database, deps.clock))
    return [
        Route(
            "GET", V + PATH, usage.list, f"{RULE}:list", reply=shapes.ProjectUsages,
            summary="Report what each project used within a time.",
        ),
        Route(
            "GET", V + PATH + "/{project_id:str}", usage.show, f"{RULE}:show", reply=shapes.ProjectUsageBody | shapes.NoUsageBody,
            summary="Report what a project used within a time, by server.",
        ),
    ]  # fmt: skip


USAGE = Resource(routes, RULES, PARAMETERS)
