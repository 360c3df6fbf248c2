"""The v3 login, tokens, and what a token's owner may see of itself."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors
from kilonova.identity.resources.auth import schemas as shapes
from kilonova.identity.resources.auth import views
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.domains import views as domain_views
from kilonova.identity.resources.projects import views as project_views
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.tokens.lifecycle import Token, TokenLogic
from kilonova.identity.web.client_address import SourceOf
from kilonova.identity.web.views import list_links

SUBJECT = "x-subject-token"
VARY = {"Vary": "X-Auth-Token"}


class Auth:
    def __init__(self, auth: AuthLogic, tokens: TokenLogic, projects: ProjectLogic, source_of: SourceOf) -> None:
        self.auth, self.tokens, self.projects, self.source_of = auth, tokens, projects, source_of

    async def login(self, call: Call) -> Reply:
        request = await call.decode(shapes.AuthRequest)
        text, token = await self.auth.login(request.auth, source=self.source_of(call), catalog=with_catalog(call))
        return Reply(views.token_body(token), headers=VARY | {"X-Subject-Token": text})

    async def show(self, call: Call) -> Reply:
        text, token = await self._subject(call, "identity:validate_token")
        return Reply(views.token_body(token), headers=VARY | {"X-Subject-Token": text})

    async def check(self, call: Call) -> Reply:
        text, _ = await self._subject(call, "identity:check_token")
        return Reply(headers=VARY | {"X-Subject-Token": text})

    async def revoke(self, call: Call) -> Reply:
        text, _ = await self._subject(call, "identity:revoke_token")
        await self.tokens.revoke(text)
        return Reply()

    async def _subject(self, call: Call, rule: str) -> tuple[str, Token]:
        text = call.headers.get(SUBJECT)
        if not text:
            raise errors.TokenNotFound("No token in the request")
        if not call.allowed(rule, {"target.token.user_id": None}) and text != call.ctx.token:
            # callers that may only see their own tokens learn of others only that these are not theirs
            token = await self.tokens.validate(text)
            if not call.allowed(rule, {"target.token.user_id": token.payload.user_id}):
                raise errors.NotAllowed(action=rule)
        wanted = call.request.method == "GET" and with_catalog(call)
        return text, await self.tokens.validate(text, catalog=wanted)

    async def catalog(self, call: Call) -> Reply:
        token = await self.tokens.validate(call.ctx.token or "", catalog=True)
        if token.payload.scope == "unscoped":
            raise errors.NotAllowed(action="identity:get_auth_catalog")
        links = list_links(call, "/v3/auth/catalog")
        return Reply(shapes.CatalogReply(catalog=views.catalog_view(token), links=links))

    async def my_projects(self, call: Call) -> Reply:
        rows = await self.projects.of_user(call.ctx.user_id or "")
        return Reply(project_views.projects(call, "/v3/auth/projects", rows))

    async def my_domains(self, call: Call) -> Reply:
        rows = await self.projects.of_user(call.ctx.user_id or "", domains=True)
        return Reply(domain_views.domains(call, "/v3/auth/domains", rows))

    async def my_system(self, call: Call) -> Reply:
        held = await self.projects.has_system_role(call.ctx.user_id or "")
        links = list_links(call, "/v3/auth/system")
        return Reply(shapes.SystemReply(system=[{"all": True}] if held else [], links=links))


def with_catalog(call: Call) -> bool:
    return "nocatalog" not in call.query
