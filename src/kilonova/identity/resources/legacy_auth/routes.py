"""Routes of the logins before v3."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.legacy_auth import schemas as shapes
from kilonova.identity.resources.legacy_auth.handlers import V1, V2
from kilonova.identity.resources.legacy_auth.policies import RULES
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.web.client_address import sources
from kilonova.identity.web.resource import Resource


def routes(deps: Deps) -> list[Route]:
    auth, projects, source_of = AuthLogic(deps), ProjectLogic(deps), sources(deps.options.proxies)
    domain_id = deps.options.default_domain_id
    v2, v1 = V2(auth, deps.tokens, projects, domain_id, source_of), V1(auth, projects, domain_id, source_of)
    return [
        Route(
            "POST", "/v2.0/tokens", v2.login, public=True,
            body=shapes.AuthV2Request, reply=shapes.AccessReply, summary="Log in to the default domain: create a token.",
        ),
        Route(  # only callers that may see any token may name one here: the subject is not read before the check
            "GET", "/v2.0/tokens/{token_id:str}", v2.show, "identity:validate_token_v2",
            reply=shapes.AccessReply, summary="Validate a token and show it.",
        ),
        Route(
            "GET", "/v2.0/tenants", v2.tenants, "identity:get_auth_projects",
            reply=shapes.Tenants, summary="List the projects that the caller may log in to.",
        ),
        *(
            Route("GET", path, v1.login, public=True, status=204, summary="Log in by headers to the default domain.")
            for path in ("/v1", "/v1.0", "/v1.1")
        ),
    ]  # fmt: skip


LEGACY_AUTH = Resource(routes, RULES)
