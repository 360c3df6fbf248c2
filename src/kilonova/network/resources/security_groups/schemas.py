"""Wire shapes of security groups and their rules."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import Name, Owned, ProjectId, Renamed, Resource, Text, Uuid


class GroupCreate(Owned, kw_only=True):
    stateful: bool = True


class GroupUpdate(Renamed):
    name: Name | UnsetType = UNSET
    stateful: bool | UnsetType = UNSET


class RuleCreate(Body, kw_only=True):
    """For icmp the port range is type and code. `protocol` is a name or a number."""

    security_group_id: Uuid
    direction: Name
    ethertype: Name | None = "IPv4"
    protocol: Name | int | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: Name | None = None
    remote_group_id: Uuid | None = None
    remote_address_group_id: None = None
    description: Text | None = ""
    project_id: ProjectId | None = None
    tenant_id: ProjectId | None = None


class Rule(View, kw_only=True):
    id: str
    project_id: str
    tenant_id: str
    security_group_id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    normalized_cidr: str | None
    description: str
    created_at: str
    updated_at: str
    revision_number: int
    remote_address_group_id: str | None = None


class Group(Resource, kw_only=True):
    stateful: bool = True
    shared: bool = False
    security_group_rules: list[Rule] = msgspec.field(default_factory=list)


class GroupBody(View):
    security_group: Group


class GroupsBody(View):
    security_groups: list[Group]


class RuleBody(View):
    security_group_rule: Rule
