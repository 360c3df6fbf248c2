"""Wire shapes of security groups as compute shows them (until 2.35): the network service's, in an older form."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kilonova.compute.web.fields import Line, matching
from kilonova.core.web.wire import Body, View

GroupName = Annotated[Line, Meta(min_length=1)]
Text = Line
Port = (
    Annotated[str, matching(r"\A-?[0-9]{1,5}\Z", "a port number, or -1")] | Annotated[int, Meta(ge=-1, le=65535)] | None
)


class Group(Body, kw_only=True):
    name: GroupName
    description: Text | None = ""


class GroupIn(Body, kw_only=True):
    security_group: Group


class Rule(Body, kw_only=True):
    """The source is `cidr` or the group of `group_id`; without either it is any address."""

    parent_group_id: Text | int
    ip_protocol: Text | None = None
    from_port: Port = None
    to_port: Port = None
    cidr: Text | None = None
    group_id: Text | None = None


class RuleIn(Body, kw_only=True):
    security_group_rule: Rule


class RuleView(View, kw_only=True):
    id: str
    parent_group_id: str
    ip_protocol: str | None
    from_port: int | None
    to_port: int | None
    ip_range: dict[str, str] = msgspec.field(default_factory=dict)
    group: dict[str, str] = msgspec.field(default_factory=dict)


class GroupView(View, kw_only=True):
    id: str
    name: str
    description: str
    tenant_id: str
    rules: list[RuleView]


class GroupOut(View):
    security_group: GroupView


class GroupsOut(View):
    security_groups: list[GroupView]


class RuleOut(View):
    security_group_rule: RuleView
