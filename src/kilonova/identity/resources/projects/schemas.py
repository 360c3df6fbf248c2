"""Wire shapes of projects and their tags. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.web.wire import Body, View
from kilonova.identity.web.texts import Id, Name, Text
from kilonova.identity.web.views import Extensible, ListLinks, SelfLink

Tag = Annotated[
    str, Meta(pattern=r"^[^,/\x00]+\Z", description="text without commas and slashes", min_length=1, max_length=255)
]
Tags = Annotated[list[Tag], Meta(max_length=80)]


class ResourceOptions(Body):
    """Upstream's, of projects, domains and roles. Null removes one."""

    immutable: bool | UnsetType | None = UNSET


class ProjectCreate(Extensible):
    name: Name
    description: Text | None = None
    domain_id: Id | None = None
    parent_id: Id | None = None
    enabled: bool = True
    is_domain: bool = False
    tags: Tags = field(default_factory=list)
    options: ResourceOptions | None = None


class ProjectUpdate(Extensible):
    name: Name | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET
    domain_id: Id | UnsetType | None = UNSET
    parent_id: Id | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    options: ResourceOptions | None = None


class TagsPut(View):
    tags: Tags


class ProjectCreateBody(View):
    project: ProjectCreate


class ProjectUpdateBody(View):
    project: ProjectUpdate


class Project(Extensible):
    id: str
    name: str
    enabled: bool
    is_domain: bool
    tags: list[str]
    description: str
    domain_id: str | None
    parent_id: str | None
    options: dict[str, Any]
    links: SelfLink


class ProjectBody(View):
    project: Project


class ProjectInTree(Project):
    """`parents` and `subtree` where the query asks for them."""

    parents: list[ProjectBody] | UnsetType = UNSET
    subtree: list[ProjectBody] | UnsetType = UNSET


class ProjectInTreeBody(View):
    project: ProjectInTree


class Projects(View):
    projects: list[Project]
    links: ListLinks


class ProjectTags(View):
    tags: list[str]
    links: ListLinks
