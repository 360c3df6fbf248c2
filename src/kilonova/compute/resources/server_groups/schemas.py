"""Wire shapes of server groups."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Name, Positive
from kilonova.core.web.wire import Body, View, versions

OldPolicy = Literal["affinity", "anti-affinity"]
Policy = Literal["affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity"]


class Rules(Body, kw_only=True):
    max_server_per_host: Positive | UnsetType = UNSET


class GroupIn(Body, kw_only=True):
    name: Name
    first_policies: Annotated[
        Annotated[list[OldPolicy], Meta(min_length=1, max_length=1)] | UnsetType,
        versions("2.1", "2.14", name="policies"),
    ] = UNSET
    policies: Annotated[
        Annotated[list[Policy], Meta(min_length=1, max_length=1)] | UnsetType, versions("2.15", "2.63")
    ] = UNSET
    policy: Annotated[Policy | UnsetType, versions("2.64")] = UNSET
    rules: Annotated[Rules | UnsetType, versions("2.64")] = UNSET


class GroupCreate(Body, kw_only=True):
    server_group: GroupIn


class Group(View, kw_only=True):
    id: str
    name: str
    policies: Annotated[list[str], versions("2.1", "2.63")]
    metadata: Annotated[dict[str, str], versions("2.1", "2.63")] = msgspec.field(default_factory=dict)
    policy: Annotated[str, versions("2.64")]
    rules: Annotated[dict[str, Any], versions("2.64")]
    members: list[str]
    project_id: Annotated[str, versions("2.13")]
    user_id: Annotated[str, versions("2.13")]


class GroupBody(View, kw_only=True):
    server_group: Group


class Groups(View, kw_only=True):
    server_groups: list[Group]
