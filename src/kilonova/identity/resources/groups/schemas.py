"""Wire shapes of groups. Attributes of a client's own are kept and given back."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View
from kilonova.identity.web.texts import Id, Name, Text
from kilonova.identity.web.views import Extensible, ListLinks, SelfLink


class GroupCreate(Extensible):
    name: Name
    domain_id: Id | None = None
    description: Text | None = None


class GroupUpdate(Extensible):
    name: Name | UnsetType = UNSET
    domain_id: Id | UnsetType = UNSET
    description: Text | UnsetType | None = UNSET


class GroupCreateBody(View):
    group: GroupCreate


class GroupUpdateBody(View):
    group: GroupUpdate


class Group(Extensible):
    id: str
    name: str
    domain_id: str
    description: str
    links: SelfLink


class GroupBody(View):
    group: Group


class Groups(View):
    groups: list[Group]
    links: ListLinks
