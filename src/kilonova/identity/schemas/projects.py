"""Wire shapes of projects and domains. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.web.wire import View
from kilonova.identity.schemas.common import Id, Name, Text

Tag = Annotated[str, Meta(pattern=r"^[^,/\x00]+\Z", min_length=1, max_length=255)]
Tags = Annotated[list[Tag], Meta(max_length=80)]
NoOptions = Annotated[dict[str, Any], Meta(max_length=0)]  # resource options are not there yet: refused, not ignored


class ProjectCreate(View):
    name: Name
    description: Text | None = None
    domain_id: Id | None = None
    parent_id: Id | None = None
    enabled: bool = True
    is_domain: bool = False
    tags: Tags = field(default_factory=list)
    options: NoOptions = field(default_factory=dict)


class ProjectUpdate(View):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    domain_id: Id | UnsetType | None = UNSET
    parent_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: NoOptions = field(default_factory=dict)


class DomainCreate(View):
    name: Name
    description: Text | None = None
    enabled: bool = True
    explicit_domain_id: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")] | None = None
    tags: Tags = field(default_factory=list)
    options: NoOptions = field(default_factory=dict)


class DomainUpdate(View):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: NoOptions = field(default_factory=dict)


class TagsPut(View):
    tags: Tags
