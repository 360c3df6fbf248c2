"""Wire shapes of domains. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.web.wire import View
from kilonova.identity.resources.projects.schemas import ResourceOptions, Tags
from kilonova.identity.web.texts import Name, Text
from kilonova.identity.web.views import Extensible, ListLinks, SelfLink


class DomainCreate(Extensible):
    name: Name
    description: Text | None = None
    enabled: bool = True
    explicit_domain_id: (
        Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z", description="a UUID of 32 digits from 0-9a-f")] | None
    ) = None
    tags: Tags = field(default_factory=list)
    options: ResourceOptions | None = None


class DomainUpdate(Extensible):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: ResourceOptions | None = None


class DomainCreateBody(View):
    domain: DomainCreate


class DomainUpdateBody(View):
    domain: DomainUpdate


class Domain(Extensible):
    id: str
    name: str
    enabled: bool
    tags: list[str]
    description: str
    options: dict[str, Any]
    links: SelfLink


class DomainBody(View):
    domain: Domain


class Domains(View):
    domains: list[Domain]
    links: ListLinks
