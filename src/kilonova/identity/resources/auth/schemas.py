"""Wire shapes of logins and of the tokens that they answer with."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View
from kilonova.identity.web.texts import Label
from kilonova.identity.web.views import ListLinks


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


class Named(View):
    id: str
    name: str | None


class Owned(View):
    """A user or project with its domain."""

    domain: Named
    id: str
    name: str
    password_expires_at: UnsetType | None = UNSET


class CatalogEndpoint(View):
    id: str
    interface: str
    region_id: str | None
    url: str
    region: str | None


class CatalogService(View):
    endpoints: list[CatalogEndpoint]
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


class CatalogReply(View):
    catalog: list[CatalogService]
    links: ListLinks


class SystemReply(View):
    """`[{"all": true}]` for a user with a role on the system."""

    system: list[dict[str, bool]]
    links: ListLinks
