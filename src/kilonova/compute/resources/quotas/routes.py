"""Routes of quota sets, quota classes and limits."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.quotas import schemas as shapes
from kilonova.compute.resources.quotas.handlers import Quotas
from kilonova.compute.resources.quotas.logic import QuotaSetLogic
from kilonova.compute.resources.quotas.policies import CLASSES, LIMITS, RULE, RULES
from kilonova.compute.web.parameters import known
from kilonova.core.web.app import Route

ONE = "/os-quota-sets/{project_id:str}"
USER = known("2.75", "user_id")
PARAMETERS = {
    "GET /limits": known("2.75", "tenant_id"),
    f"GET {ONE}": USER,
    f"PUT {ONE}": USER,
    f"DELETE {ONE}": USER,
    f"GET {ONE}/detail": USER,
}


def routes(deps: Deps) -> list[Route]:
    quotas = Quotas(QuotaSetLogic(deps.database, deps.options, deps.projects))
    one, named, shown = V + ONE, V + "/os-quota-class-sets/{name:str}", shapes.QuotaSetBody
    return [
        Route(
            "GET", V + "/limits", quotas.limits, LIMITS, reply=shapes.LimitsBody,
            summary="Show a project's limits and what it uses.",
        ),
        Route("GET", one, quotas.show, f"{RULE}:show", reply=shown, summary="Show a project's or user's quotas."),
        Route(
            "GET", one + "/detail", quotas.detail, f"{RULE}:detail", reply=shapes.QuotaUsageBody,
            summary="Show quotas with what is used of them.",
        ),
        Route(
            "GET", one + "/defaults", quotas.defaults, f"{RULE}:defaults", reply=shown,
            summary="Show the quotas of projects that have none of their own.",
        ),
        Route(
            "PUT", one, quotas.update, f"{RULE}:update", body=shapes.QuotaSetUpdate, reply=shown,
            summary="Change a project's or user's quotas.",
        ),
        Route(
            "DELETE", one, quotas.delete, f"{RULE}:delete", 202, summary="Return a project or user to the default quotas."
        ),
        Route(
            "GET", named, quotas.show_class, f"{CLASSES}:show", reply=shapes.QuotaClassBody,
            summary="Show the quotas of a class.",
        ),
        Route(
            "PUT", named, quotas.update_class, f"{CLASSES}:update", body=shapes.QuotaClassUpdate,
            reply=shapes.QuotaClassBody, summary="Change the quotas of a class.",
        ),
    ]  # fmt: skip


QUOTAS = Resource(routes, RULES, PARAMETERS)
