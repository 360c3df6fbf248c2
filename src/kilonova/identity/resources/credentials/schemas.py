"""Wire shapes of EC2 credentials and others."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View
from kilonova.identity.web.texts import Id, Name, Text
from kilonova.identity.web.views import ListLinks, SelfLink


class Ec2Create(View):
    tenant_id: Id


class CredentialCreate(View):
    blob: Text
    type: Name
    user_id: Id | None = None
    project_id: Id | None = None


class CredentialUpdate(View):
    blob: Text | UnsetType = UNSET
    type: Name | UnsetType = UNSET
    user_id: Id | UnsetType = UNSET
    project_id: Id | UnsetType | None = UNSET


class CredentialCreateBody(View):
    credential: CredentialCreate


class CredentialUpdateBody(View):
    credential: CredentialUpdate


class Credential(View):
    id: str
    type: str
    user_id: str
    project_id: str | None
    blob: str
    links: SelfLink


class CredentialBody(View):
    credential: Credential


class Credentials(View):
    """A page; `truncated` where the client named no limit and there are more credentials than the page has."""

    credentials: list[Credential]
    links: ListLinks
    truncated: bool | UnsetType = UNSET


class Ec2Credential(View):
    """`secret` and `trust_id` are what the client put into the blob, where it made one itself."""

    access: str
    secret: Any
    user_id: str
    tenant_id: str | None
    trust_id: Any
    links: SelfLink


class Ec2CredentialBody(View):
    credential: Ec2Credential


class Ec2Credentials(View):
    credentials: list[Ec2Credential]
    links: ListLinks
