"""Wire shapes of application credentials."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.web.wire import Body, View
from kilonova.identity.web.texts import Id, Name, Secret, Text
from kilonova.identity.web.views import ListLinks, SelfLink


class RoleRef(Body):
    id: Id | None = None
    name: Name | None = None


class ApplicationCredentialCreate(View):
    name: Name
    secret: Secret | None = None
    description: Text | None = None
    expires_at: Text | None = None
    roles: list[RoleRef] = field(default_factory=list)
    unrestricted: bool | None = False
    # tokens that may do certain requests only are not there yet: refused, not ignored
    access_rules: Annotated[list[Any], Meta(max_length=0)] = field(default_factory=list)


class ApplicationCredentialCreateBody(View):
    application_credential: ApplicationCredentialCreate


class HeldRole(View):
    id: str
    name: str
    domain_id: str | None


class ApplicationCredential(View, kw_only=True):
    """`secret` is only in the answer to its creation."""

    id: str
    name: str
    description: str | None
    user_id: str
    project_id: str
    system: None = None
    expires_at: str | None
    unrestricted: bool
    roles: list[HeldRole]
    links: SelfLink
    secret: str | UnsetType = UNSET


class ApplicationCredentialBody(View):
    application_credential: ApplicationCredential


class ApplicationCredentials(View):
    application_credentials: list[ApplicationCredential]
    links: ListLinks
