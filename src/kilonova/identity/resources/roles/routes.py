"""Routes of roles, and of which implies which."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.roles import schemas as shapes
from kilonova.identity.resources.roles.handlers import Roles
from kilonova.identity.resources.roles.logic import RoleLogic
from kilonova.identity.resources.roles.policies import RULES
from kilonova.identity.web.resource import Resource, crud


def routes(deps: Deps) -> list[Route]:
    api = Roles(RoleLogic(deps))
    implies = "/v3/roles/{prior_role_id:str}/implies"
    pair = implies + "/{implied_role_id:str}"
    return [
        *crud(
            "/v3/roles", "role", api,
            one=shapes.RoleBody, several=shapes.Roles, create=shapes.RoleCreateBody, update=shapes.RoleUpdateBody,
        ),
        Route(
            "GET", implies, api.implied, "identity:list_implied_roles",
            reply=shapes.InferenceBody, summary="List the roles that a role implies.",
        ),
        Route(
            "PUT", pair, api.imply, "identity:create_implied_role", 201,
            reply=shapes.ImplicationBody, summary="Let a role imply another one.",
        ),
        Route(
            "GET", pair, api.show_implied, "identity:get_implied_role",
            reply=shapes.ImplicationBody, summary="Show that a role implies another one.",
        ),
        Route(
            "HEAD", pair, api.check_implied, "identity:check_implied_role", 204,
            summary="Check whether a role implies another one.",
        ),
        Route(
            "DELETE", pair, api.stop_implying, "identity:delete_implied_role", 204,
            summary="Let a role no longer imply another one.",
        ),
        Route(
            "GET", "/v3/role_inferences", api.inferences, "identity:list_role_inference_rules",
            reply=shapes.Inferences, summary="List all roles that imply others, with those.",
        ),
    ]  # fmt: skip


ROLES = Resource(routes, RULES)
