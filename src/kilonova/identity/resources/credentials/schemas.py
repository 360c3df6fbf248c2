"""Wire shapes of application credentials, EC2 credentials and others."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.web.wire import Body, View
from kilonova.identity.web.texts import Id, Name, Secret, Text


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
