"""Quotas: their routes, and what the API knows of them."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.network.resources.base.resource import V2, Api, Extension, Resource
from kilonova.network.resources.quotas import schemas as shapes
from kilonova.network.resources.quotas.handlers import Quotas
from kilonova.network.resources.quotas.logic import QuotaLogic
from kilonova.network.resources.quotas.policies import RULES


def routes(api: Api) -> list[Route]:
    quotas, every, one = Quotas(QuotaLogic(api.deps)), f"{V2}/quotas", f"{V2}/quotas/{{project_id:str}}"
    limits, details, sent = shapes.QuotaBody, shapes.QuotaDetailsBody, shapes.QuotaUpdate
    more, use = "Show a project's limits and what it uses.", quotas.details
    return [
        Route("GET", every, quotas.list, "get_quota", reply=shapes.QuotasBody, summary="List projects with limits of their own."),
        Route("GET", one, quotas.show, "get_quota", reply=limits, summary="Show a project's limits."),
        Route("GET", f"{one}/default", quotas.defaults, "get_quota", reply=limits, summary="Show the limits of any project."),
        Route("GET", f"{one}/details", use, "get_quota", reply=details, summary=more),
        Route("GET", f"{one}/details.json", use, "get_quota", reply=details, summary=more),
        Route("PUT", one, quotas.update, "update_quota", body=sent, reply=limits, summary="Set a project's limits."),
        Route("DELETE", one, quotas.reset, "delete_quota", 204, summary="Give a project the limits of any other."),
    ]  # fmt: skip


QUOTAS_RESOURCE = Resource(
    routes,
    RULES,
    extensions=(
        Extension(
            "quota-check-limit", "Quota engine limit check", "2021-09-08T16:00:00-00:00",
            "Limits below what is used need force",
        ),
        Extension(
            "quota-check-limit-default", "Quota engine limit check by default", "2024-08-21T16:00:00-00:00",
            "Limits are checked unless forced",
        ),
        Extension("quota_details", "Quota details management support", "2017-02-10T10:00:00-00:00", "Quotas with their use"),
        Extension("quotas", "Quota management support", "2012-07-29T10:00:00-00:00", "Limits of projects"),
    ),
)  # fmt: skip
