"""Wire shapes of projects and domains. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.web.wire import Body, View
from kilonova.identity.web.texts import Id, Name, Text

Tag = Annotated[
    str, Meta(pattern=r"^[^,/\x00]+\Z", description="text without commas and slashes", min_length=1, max_length=255)
]
Tags = Annotated[list[Tag], Meta(max_length=80)]


class ResourceOptions(Body):
    """Upstream's, of projects, domains and roles. Null takes one away."""

    immutable: bool | UnsetType | None = UNSET


class ProjectCreate(View):
    name: Name
    description: Text | None = None
    domain_id: Id | None = None
    parent_id: Id | None = None
    enabled: bool = True
    is_domain: bool = False
    tags: Tags = field(default_factory=list)
    options: ResourceOptions | None = None


class ProjectUpdate(View):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    domain_id: Id | UnsetType | None = UNSET
    parent_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: ResourceOptions | None = None


class DomainCreate(View):
    name: Name
    description: Text | None = None
    enabled: bool = True
    explicit_domain_id: (
        Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z", description="a UUID of 32 digits from 0-9a-f")] | None
    ) = None
    tags: Tags = field(default_factory=list)
    options: ResourceOptions | None = None


class DomainUpdate(View):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: ResourceOptions | None = None


class TagsPut(View):
    tags: Tags
