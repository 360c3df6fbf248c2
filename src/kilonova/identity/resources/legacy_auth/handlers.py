"""The logins before v3: v2.0 with its own shapes, v1 with headers. Behind them are the same users and tokens, all in the
default domain."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.auth.views import catalog_view
from kilonova.identity.resources.legacy_auth import schemas as shapes
from kilonova.identity.resources.legacy_auth.views import access_body
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.tokens.lifecycle import Token, TokenLogic
from kilonova.identity.web.client_address import SourceOf

MANAGEMENT, STORAGE = "compute", "object-store"


class V2:
    def __init__(
        self, auth: AuthLogic, tokens: TokenLogic, projects: ProjectLogic, domain_id: str, source_of: SourceOf
    ) -> None:
        self.auth, self.tokens, self.projects, self.domain = auth, tokens, projects, {"id": domain_id}
        self.source_of = source_of

    async def login(self, call: Call) -> Reply:
        request = (await call.decode(shapes.AuthV2Request)).auth
        project: dict[str, str] = {}
        if request.tenant_id:
            project = {"id": request.tenant_id}
        elif request.tenant_name:
            project = {"name": request.tenant_name}
        if request.token is not None:
            text, token = await self.auth.login_token(request.token.id, project=project, domain=self.domain)
        elif request.password_credentials is not None:
            given = request.password_credentials
            text, token = await self.auth.login_password(
                given.password, user_id=given.user_id, name=given.username, domain=self.domain, project=project,
                source=self.source_of(call),
            )  # fmt: skip
        else:
            raise errors.Missing(attribute="passwordCredentials or token", target="auth")
        return Reply(access_body(text, token), headers={"Vary": "X-Auth-Token"})

    async def show(self, call: Call, token_id: str) -> Reply:
        token = await self.tokens.validate(token_id, catalog=True)
        return Reply(access_body(token_id, token), headers={"Vary": "X-Auth-Token"})

    async def tenants(self, call: Call) -> Reply:
        rows = await self.projects.of_user(call.ctx.user_id or "")
        found = [shapes.Tenant(id=row.id, name=row.name, description=row.description or "") for row in rows]
        return Reply(shapes.Tenants(tenants=found))


class V1:
    def __init__(self, auth: AuthLogic, projects: ProjectLogic, domain_id: str, source_of: SourceOf) -> None:
        self.auth, self.projects, self.domain, self.source_of = auth, projects, {"id": domain_id}, source_of

    async def login(self, call: Call) -> Reply:
        """204 with the token and URLs in headers. The project is named by X-Auth-Project-Id (id or name); without it, it
        is the user's default or first one."""
        name, key = call.headers.get("x-auth-user"), call.headers.get("x-auth-key")
        if not name or key is None:
            raise errors.NotAuthenticated
        token = await self._login(name, key, call.headers.get("x-auth-project-id"), self.source_of(call))
        headers = {"X-Auth-Token": token[0]}
        urls = {service.type: endpoint.url for service in catalog_view(token[1])
                for endpoint in service.endpoints if endpoint.interface == "public"}  # fmt: skip
        if MANAGEMENT in urls:
            headers["X-Server-Management-Url"] = urls[MANAGEMENT]
        if STORAGE in urls:
            headers |= {"X-Storage-Url": urls[STORAGE], "X-Storage-Token": token[0]}
        return Reply(headers=headers)

    async def _login(self, name: str, key: str, asked: str | None, source: str) -> tuple[str, Token]:
        found = await self.auth.login_password(
            key, user_id=None, name=name, domain=self.domain, project={}, source=source, method="v1"
        )
        if asked is None and found[1].payload.scope != "unscoped":
            return found
        held = await self.projects.of_user(found[1].payload.user_id)
        wanted = [row.id for row in held if asked is None or asked in (row.id, row.name)]
        if not wanted:
            raise errors.NotAuthenticated
        return await self.auth.login_token(found[0], project={"id": wanted[0]}, domain=self.domain)
