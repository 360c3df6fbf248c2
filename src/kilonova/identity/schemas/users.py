"""Wire shapes of users and groups. Attributes of a client's own, such as `email`, are kept and given back."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from kilonova.core.web.wire import View
from kilonova.identity.schemas.common import Id, Name, Secret, Text
from kilonova.identity.schemas.projects import NoOptions


class UserCreate(View):
    name: Name
    password: Secret | None = None
    domain_id: Id | None = None
    default_project_id: Id | None = None
    enabled: bool = True
    options: NoOptions = field(default_factory=dict)


class UserUpdate(View):
    name: Name | UnsetType = UNSET
    password: Secret | UnsetType | None = UNSET
    domain_id: Id | UnsetType = UNSET
    default_project_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    options: NoOptions = field(default_factory=dict)


class PasswordChange(View):
    password: Secret
    original_password: str


class GroupCreate(View):
    name: Name
    domain_id: Id | None = None
    description: Text | None = None


class GroupUpdate(View):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
