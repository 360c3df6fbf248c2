"""Wire shapes of security groups."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from kilonova.network.resources.base.schemas import Name, StandardCreate, StandardUpdate, StandardView
from kilonova.network.resources.security_group_rules.schemas import Rule


class GroupCreate(StandardCreate, kw_only=True):
    stateful: bool = True


class GroupUpdate(StandardUpdate):
    name: Name | UnsetType = UNSET
    stateful: bool | UnsetType = UNSET


class Group(StandardView, kw_only=True):
    stateful: bool = True
    shared: bool = False
    security_group_rules: list[Rule] = msgspec.field(default_factory=list)


class SharedGroup(Group, kw_only=True):
    """One that is shared with these projects, not with every one."""

    shared_with: list[str]
