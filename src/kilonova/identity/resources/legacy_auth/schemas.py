"""Wire shapes of v2.0."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from kilonova.core.web.wire import View
from kilonova.identity.resources.auth.schemas import TokenRef
from kilonova.identity.web.texts import Label


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


class Tenant(View):
    id: str
    name: str
    enabled: bool = True
    description: str | None = None


class TokenV2(View):
    id: str
    expires: str
    issued_at: str
    audit_ids: list[str]
    tenant: Tenant | UnsetType = UNSET


class RoleV2(View):
    name: str


class UserV2(View):
    id: str
    name: str
    username: str
    roles: list[RoleV2]
    roles_links: list[str] = field(default_factory=list)


class EndpointV2(View):
    id: str
    region: str | None
    tenant_id: str = field(name="tenantId")
    public_url: str | UnsetType = field(name="publicURL", default=UNSET)
    internal_url: str | UnsetType = field(name="internalURL", default=UNSET)
    admin_url: str | UnsetType = field(name="adminURL", default=UNSET)


class ServiceV2(View):
    type: str
    name: str
    endpoints: list[EndpointV2]
    endpoints_links: list[str] = field(default_factory=list)


class Metadata(View):
    is_admin: int
    roles: list[str]


class Access(View):
    token: TokenV2
    user: UserV2
    service_catalog: list[ServiceV2] = field(name="serviceCatalog")
    metadata: Metadata


class AccessReply(View):
    access: Access


class Tenants(View):
    tenants: list[Tenant]
    tenants_links: list[str] = field(default_factory=list)
