"""Wire shapes of QoS policies."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View
from kilonova.network.resources.base.schemas import StandardCreate, StandardUpdate, StandardView


class QosPolicyCreate(StandardCreate, kw_only=True):
    shared: bool = False
    is_default: bool = False


class QosPolicyUpdate(StandardUpdate):
    shared: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET


class PolicyRule(View, kw_only=True):
    """A rule of any type, as its policy shows it: with the attributes of its type."""

    id: str
    qos_policy_id: str
    type: str
    direction: str | UnsetType = UNSET
    max_kbps: int | UnsetType = UNSET
    max_burst_kbps: int | UnsetType = UNSET
    max_kpps: int | UnsetType = UNSET
    max_burst_kpps: int | UnsetType = UNSET
    dscp_mark: int | UnsetType = UNSET


class QosPolicy(StandardView, kw_only=True):
    shared: bool
    is_default: bool
    rules: list[PolicyRule] = msgspec.field(default_factory=list)


class SharedQosPolicy(QosPolicy, kw_only=True):
    """One that is shared with these projects, not with every one."""

    shared_with: list[str]
