"""Routes of host aggregates."""

from __future__ import annotations

from kilonova.compute.resources.aggregates import schemas as shapes
from kilonova.compute.resources.aggregates.handlers import Aggregates
from kilonova.compute.resources.aggregates.logic import AggregateLogic
from kilonova.compute.resources.aggregates.policies import IMAGES, RULE, RULES
from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.core.web.app import Route


def routes(deps: Deps) -> list[Route]:
    aggregates = Aggregates(AggregateLogic(deps.database, deps.clock))
    every, one, body = V + "/os-aggregates", V + "/os-aggregates/{aggregate_id:str}", shapes.AggregateBody
    return [
        Route("GET", every, aggregates.list, f"{RULE}:index", reply=shapes.Aggregates, summary="List host aggregates."),
        Route(
            "POST", every, aggregates.create, f"{RULE}:create", body=shapes.AggregateCreate, reply=body,
            summary="Create a host aggregate.",
        ),
        Route("GET", one, aggregates.show, f"{RULE}:show", reply=body, summary="Show a host aggregate."),
        Route(
            "PUT", one, aggregates.update, f"{RULE}:update", body=shapes.AggregateUpdate, reply=body,
            summary="Change the name or availability zone of a host aggregate.",
        ),
        Route("DELETE", one, aggregates.delete, f"{RULE}:delete", summary="Delete a host aggregate."),
        Route(
            "POST", one + "/action", aggregates.action, f"{RULE}:show", body=shapes.AggregateAction, reply=body,
            summary="Add a host to an aggregate, remove one, or set metadata.",
        ),
        Route(
            "POST", one + "/images", aggregates.images, IMAGES, 202, since="2.81",
            summary="Cache images on an aggregate's hosts: not available yet.",
        ),
    ]  # fmt: skip


AGGREGATES = Resource(routes, RULES)
