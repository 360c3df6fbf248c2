"""Routes of logins and tokens."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.auth import schemas as shapes
from kilonova.identity.resources.auth.handlers import Auth
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.auth.policies import OBJECT_RULES, RULES
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.domains.schemas import Domains
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.resources.projects.schemas import Projects
from kilonova.identity.web.client_address import sources
from kilonova.identity.web.resource import Resource


def routes(deps: Deps) -> list[Route]:
    api = Auth(AuthLogic(deps), deps.tokens, ProjectLogic(deps), sources(deps.options.proxies))
    tokens = "/v3/auth/tokens"
    return [
        Route(
            "POST", tokens, api.login, public=True, status=201,
            body=shapes.AuthRequest, reply=shapes.TokenReply, summary="Log in: create a token.",
        ),
        Route(
            "GET", tokens, api.show, "identity:validate_token",
            reply=shapes.TokenReply, summary="Validate the token in X-Subject-Token and show it.",
        ),
        Route("HEAD", tokens, api.check, "identity:check_token", summary="Check the token in X-Subject-Token."),
        Route("DELETE", tokens, api.revoke, "identity:revoke_token", 204, summary="Revoke the token in X-Subject-Token."),
        Route(
            "GET", "/v3/auth/catalog", api.catalog, "identity:get_auth_catalog",
            reply=shapes.CatalogReply, summary="Show the catalog of the caller's token.",
        ),
        Route(
            "GET", "/v3/auth/projects", api.my_projects, "identity:get_auth_projects",
            reply=Projects, summary="List the projects that the caller may log in to.",
        ),
        Route(
            "GET", "/v3/auth/domains", api.my_domains, "identity:get_auth_domains",
            reply=Domains, summary="List the domains that the caller may log in to.",
        ),
        Route(
            "GET", "/v3/auth/system", api.my_system, "identity:get_auth_system",
            reply=shapes.SystemReply, summary="Show whether the caller may log in to the system.",
        ),
    ]  # fmt: skip


AUTH = Resource(routes, RULES, OBJECT_RULES)
