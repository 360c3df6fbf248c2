"""The v3 login, tokens, and what a token's owner may see of himself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from msgspec import UNSET

from kilonova.core.web.call import Call, Reply
from kilonova.identity import errors, timestamps
from kilonova.identity.resources.auth import schemas as shapes
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.tokens.lifecycle import Token, TokenLogic
from kilonova.identity.web import links

SUBJECT = "x-subject-token"
PLACEHOLDER = re.compile(r"[$%]\((project_id|tenant_id|user_id)\)s")
SourceOf = Callable[[Call], str]
VARY = {"Vary": "X-Auth-Token"}


class Auth:
    def __init__(self, auth: AuthLogic, tokens: TokenLogic, projects: ProjectLogic, source_of: SourceOf) -> None:
        self.auth, self.tokens, self.projects, self.source_of = auth, tokens, projects, source_of

    async def login(self, call: Call) -> Reply:
        request = await call.decode(shapes.AuthRequest)
        text, token = await self.auth.login(request.auth, source=self.source_of(call), catalog=with_catalog(call))
        return Reply(shapes.TokenReply(token=token_view(token)), headers=VARY | {"X-Subject-Token": text})

    async def show(self, call: Call) -> Reply:
        text, token = await self._subject(call, "identity:validate_token")
        return Reply(shapes.TokenReply(token=token_view(token)), headers=VARY | {"X-Subject-Token": text})

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
            # callers that may only see their own tokens learn nothing about others, but that they are not theirs
            token = await self.tokens.validate(text)
            if not call.allowed(rule, {"target.token.user_id": token.payload.user_id}):
                raise errors.NotAllowed(action=rule)
        wanted = call.request.method == "GET" and with_catalog(call)
        return text, await self.tokens.validate(text, catalog=wanted)

    async def catalog(self, call: Call) -> Reply:
        token = await self.tokens.validate(call.ctx.token or "", catalog=True)
        if token.payload.scope == "unscoped":
            raise errors.NotAllowed(action="identity:get_auth_catalog")
        body = {"catalog": catalog_view(token), "links": links.collection(call, "/v3/auth/catalog")}
        return Reply(body)

    async def my_projects(self, call: Call) -> Reply:
        rows = await self.projects.of_user(call.ctx.user_id or "")
        return Reply(links.listing(call, "/v3/auth/projects", "projects", [links.project(call, row) for row in rows]))

    async def my_domains(self, call: Call) -> Reply:
        rows = await self.projects.of_user(call.ctx.user_id or "", domains=True)
        return Reply(links.listing(call, "/v3/auth/domains", "domains", [links.domain(call, row) for row in rows]))

    async def my_system(self, call: Call) -> Reply:
        held = await self.projects.has_system_role(call.ctx.user_id or "")
        body = {"system": [{"all": True}] if held else [], "links": links.collection(call, "/v3/auth/system")}
        return Reply(body)


def sources(proxies: Sequence[str]) -> SourceOf:
    """Tells a client's address: what one of the proxies says is its client's, else that of the connection; "" in this process."""

    def source_of(call: Call) -> str:
        address = call.request.client.host if call.request.client is not None else ""
        if address not in proxies:
            return address
        told: list[str] = call.headers.getall("x-forwarded-for", [])
        return (
            told[-1].rpartition(",")[2].strip() if told else ""
        ) or address  # what came before may be the client's own

    return source_of


def with_catalog(call: Call) -> bool:
    return "nocatalog" not in call.query


def token_view(token: Token) -> shapes.TokenView:
    payload, subject = token.payload, token.subject
    user_domain = shapes.Named(id=subject.user_domain_id, name=subject.user_domain_name)
    view = shapes.TokenView(
        methods=list(payload.methods),
        user=shapes.Owned(domain=user_domain, id=subject.user_id, name=subject.user_name, password_expires_at=None),
        audit_ids=list(payload.audit_ids),
        expires_at=timestamps.text(payload.expires_at),
        issued_at=timestamps.text(payload.issued_at),
    )
    if payload.scope == "project":
        owner = shapes.Named(id=subject.target_domain_id or "", name=subject.target_domain_name)
        view.project = shapes.Owned(domain=owner, id=subject.target_id, name=subject.target_name)
        view.is_domain = subject.target_is_domain
    elif payload.scope == "domain":
        view.domain = shapes.Named(id=subject.target_id, name=subject.target_name)
    elif payload.scope == "system":
        view.system = {"all": True}
    if payload.scope != "unscoped":
        view.roles = [shapes.Named(id=role.id, name=role.name) for role in token.roles]
        view.catalog = catalog_view(token) if token.catalog is not None else UNSET
    if payload.credential_id is not None:
        view.application_credential = shapes.ApplicationCredentialView(
            id=payload.credential_id, name=subject.credential_name, restricted=not subject.credential_unrestricted
        )
    return view


def catalog_view(token: Token) -> list[shapes.CatalogService]:
    """The catalog as this token's user sees it: with the project's id in URLs that have room for it."""
    facts = {"user_id": token.payload.user_id}
    if token.payload.scope == "project":
        facts |= {"project_id": token.payload.scope_id or "", "tenant_id": token.payload.scope_id or ""}
    services: dict[str, shapes.CatalogService] = {}
    for row in token.catalog or ():
        service = services.setdefault(
            row.service_id,
            shapes.CatalogService(endpoints=[], id=row.service_id, type=row.service_type, name=row.service_name or ""),
        )
        if any(name not in facts for name in PLACEHOLDER.findall(row.url)):
            continue
        url = PLACEHOLDER.sub(lambda found: facts[found.group(1)], row.url)
        service.endpoints.append(
            shapes.EndpointView(
                id=row.id, interface=row.interface, region_id=row.region_id, url=url, region=row.region_id
            )
        )
    return list(services.values())
