"""Wire shapes of roles."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View
from kilonova.identity.resources.projects.schemas import ResourceOptions
from kilonova.identity.web.texts import Id, Name, Text


class RoleCreate(View):
    name: Name
    domain_id: Id | None = None
    description: Text | None = None
    options: ResourceOptions | None = None


class RoleUpdate(View):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    options: ResourceOptions | None = None
