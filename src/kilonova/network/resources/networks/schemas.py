"""Wire shapes of networks."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.network.resources.base.schemas import (
    LINE,
    ONE_LINE,
    Name,
    Names,
    StandardCreate,
    StandardUpdate,
    StandardView,
    Uuid,
)

Mtu = Annotated[int, Meta(ge=0, le=65535)]
"""0: the largest that there is. What subnets need at least is checked with them."""
Segment = Annotated[int, Meta(ge=1, le=16777215)]
NetworkType = Annotated[str, Meta(max_length=32, pattern=LINE, description=ONE_LINE)]
Physical = Annotated[str, Meta(max_length=64, pattern=LINE, description=ONE_LINE)]
WIRE = {
    "external": "router:external",
    "network_type": "provider:network_type",
    "physical_network": "provider:physical_network",
    "segmentation_id": "provider:segmentation_id",
}
"""Our field names to the wire's, where they differ."""


class NetworkCreate(StandardCreate, kw_only=True, rename=WIRE):
    admin_state_up: bool = True
    shared: bool = False
    external: bool = False
    is_default: bool = False
    mtu: Mtu | None = None
    port_security_enabled: bool = True
    availability_zone_hints: Names = msgspec.field(default_factory=list)
    dns_domain: Name | None = ""
    network_type: NetworkType | None = None
    physical_network: Physical | None = None
    segmentation_id: Segment | None = None
    qos_policy_id: Uuid | None = None


class NetworkUpdate(StandardUpdate, rename=WIRE):
    admin_state_up: bool | UnsetType = UNSET
    shared: bool | UnsetType = UNSET
    external: bool | UnsetType = UNSET
    is_default: bool | UnsetType = UNSET
    mtu: Mtu | UnsetType = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    qos_policy_id: Uuid | UnsetType | None = UNSET
    dns_domain: Name | UnsetType | None = UNSET


class Network(StandardView, kw_only=True, rename=WIRE):
    admin_state_up: bool
    status: str
    shared: bool
    external: bool
    is_default: bool
    mtu: int
    port_security_enabled: bool
    subnets: list[str]
    qos_policy_id: str | None
    dns_domain: str = ""
    availability_zone_hints: list[str] = msgspec.field(default_factory=list)
    availability_zones: list[str] = msgspec.field(default_factory=list)
    ipv4_address_scope: str | None = None
    ipv6_address_scope: str | None = None
    network_type: str | UnsetType | None = UNSET
    physical_network: str | UnsetType | None = UNSET
    segmentation_id: int | UnsetType | None = UNSET


class SharedNetwork(Network, kw_only=True, rename=WIRE):
    """One that is shared with these projects, not with every one."""

    shared_with: list[str]
