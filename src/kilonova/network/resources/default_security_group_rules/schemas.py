"""Wire shapes of default security group rules."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from kilonova.core.web.wire import View
from kilonova.network.resources.security_group_rules.schemas import RuleIn

PARENT = "PARENT"
"""Instead of a group's id: the group that the rule is made for."""
GroupOrParent = Annotated[
    str,
    Meta(
        pattern=r"\A(?:PARENT|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\Z", description="a UUID, or PARENT"
    ),
]


class DefaultRuleCreate(RuleIn, kw_only=True):
    """`remote_group_id` PARENT is the new group itself."""

    remote_group_id: GroupOrParent | None = None
    used_in_default_sg: bool
    used_in_non_default_sg: bool


class DefaultRule(View, kw_only=True):
    id: str
    direction: str
    ethertype: str
    protocol: str | None
    port_range_min: int | None
    port_range_max: int | None
    remote_ip_prefix: str | None
    remote_group_id: str | None
    remote_address_group_id: str | None
    description: str
    used_in_default_sg: bool
    used_in_non_default_sg: bool
