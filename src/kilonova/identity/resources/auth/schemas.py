"""Wire shapes of logins: v3, v2.0, and the token that v3 answers with."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType, field

from kilonova.core.web.wire import View
from kilonova.identity.web.texts import Label


class DomainRef(View):
    id: Label | None = None
    name: Label | None = None


class UserRef(View, kw_only=True):
    id: Label | None = None
    name: Label | None = None
    domain: DomainRef | None = None


class PasswordUser(UserRef, kw_only=True):
    password: str


class Password(View):
    user: PasswordUser


class TokenRef(View):
    id: str


class ApplicationCredential(View):
    secret: str
    id: Label | None = None
    name: Label | None = None
    user: UserRef | None = None


class Identity(View):
    methods: list[str]
    password: Password | None = None
    token: TokenRef | None = None
    application_credential: ApplicationCredential | None = None


class ProjectRef(View):
    id: Label | None = None
    name: Label | None = None
    domain: DomainRef | None = None


class SystemRef(View):
    all: bool = False


class ScopeRef(View):
    project: ProjectRef | None = None
    domain: DomainRef | None = None
    system: SystemRef | None = None
    unscoped: dict[str, Any] | None = None


class Auth(View):
    identity: Identity
    scope: ScopeRef | Literal["unscoped"] | UnsetType = UNSET


class AuthRequest(View):
    auth: Auth


class PasswordCredentials(View):
    password: str
    username: Label | None = None
    user_id: Label | None = field(name="userId", default=None)


class AuthV2(View):
    password_credentials: PasswordCredentials | None = field(name="passwordCredentials", default=None)
    token: TokenRef | None = None
    tenant_name: Label | None = field(name="tenantName", default=None)
    tenant_id: Label | None = field(name="tenantId", default=None)


class AuthV2Request(View):
    auth: AuthV2


class Named(View):
    id: str
    name: str | None


class Owned(View):
    """A user or project with its domain."""

    domain: Named
    id: str
    name: str
    password_expires_at: UnsetType | None = UNSET


class EndpointView(View):
    id: str
    interface: str
    region_id: str | None
    url: str
    region: str | None


class CatalogService(View):
    endpoints: list[EndpointView]
    id: str
    type: str
    name: str


class ApplicationCredentialView(View):
    id: str
    name: str
    restricted: bool


class TokenView(View):
    methods: list[str]
    user: Owned
    audit_ids: list[str]
    expires_at: str
    issued_at: str
    project: Owned | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    domain: Named | UnsetType = UNSET
    system: dict[str, bool] | UnsetType = UNSET
    roles: list[Named] | UnsetType = UNSET
    catalog: list[CatalogService] | UnsetType = UNSET
    application_credential: ApplicationCredentialView | UnsetType = UNSET


class TokenReply(View):
    token: TokenView
