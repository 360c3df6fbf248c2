"""Wire shapes of roles."""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from kilonova.core.web.wire import View
from kilonova.identity.schemas.common import Id, Name, Text
from kilonova.identity.schemas.projects import NoOptions


class RoleCreate(View):
    name: Name
    domain_id: Id | None = None
    description: Text | None = None
    options: NoOptions = field(default_factory=dict)


class RoleUpdate(View):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    options: NoOptions = field(default_factory=dict)
