"""Wire shapes of ports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import (
    LINE,
    ONE_LINE,
    Name,
    StandardCreate,
    StandardUpdate,
    StandardView,
    Tags,
    Uuid,
)
from kilonova.network.resources.subnets.schemas import Address

Mac = Annotated[
    str,
    Meta(pattern=r"\A([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\Z", description="a MAC address such as fa:16:3e:00:00:01"),
]
DnsText = Annotated[str, Meta(max_length=256, pattern=LINE, description=ONE_LINE)]
OptName = Annotated[str, Meta(min_length=1, max_length=64, pattern=LINE, description=ONE_LINE)]
OptValue = Annotated[str, Meta(max_length=255, pattern=LINE, description=ONE_LINE)]
VNIC_TYPES = ("normal",)
COMING = "migrating_to"
"""In a binding's profile: the host that the guest is about to be on."""
WIRE = {
    "host_id": "binding:host_id",
    "vnic_type": "binding:vnic_type",
    "profile": "binding:profile",
    "vif_type": "binding:vif_type",
    "vif_details": "binding:vif_details",
}
"""Our field names to the wire's, where they differ."""


class FixedIPIn(Body):
    subnet_id: Uuid | None = None
    ip_address: Address | None = None


class AddressPairIn(Body):
    ip_address: Address
    mac_address: Mac | None = None


class DhcpOptIn(Body):
    """Without `opt_value`, or with null, the option is taken away again."""

    opt_name: OptName
    opt_value: OptValue | None = None
    ip_version: Literal[4, 6] = 4


FixedIPs = Annotated[list[FixedIPIn], Meta(max_length=32)]
Pairs = Annotated[list[AddressPairIn], Meta(max_length=64)]
DhcpOpts = Annotated[list[DhcpOptIn], Meta(max_length=64)]
Groups = Annotated[list[Uuid], Meta(max_length=64)]


class PortCreate(StandardCreate, kw_only=True, rename=WIRE):
    """`id` is ours alone (components only): a repeated request then means the same port."""

    network_id: Uuid
    id: Uuid | None = None
    mac_address: Mac | None = None
    fixed_ips: FixedIPs | UnsetType | None = UNSET
    admin_state_up: bool = True
    device_id: Name | None = ""
    device_owner: Name | None = ""
    security_groups: Groups | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    allowed_address_pairs: Pairs | UnsetType | None = UNSET
    dns_name: DnsText | None = ""
    dns_domain: DnsText | None = ""
    extra_dhcp_opts: DhcpOpts | None = None
    host_id: Name | None = ""
    vnic_type: Name = "normal"
    profile: dict[str, Any] | None = msgspec.field(default_factory=dict)
    tags: Tags = msgspec.field(default_factory=list)
    qos_policy_id: Uuid | None = None


class PortUpdate(StandardUpdate, rename=WIRE):
    """`mac_address` null: a new one."""

    mac_address: Mac | UnsetType | None = UNSET
    fixed_ips: FixedIPs | UnsetType | None = UNSET
    admin_state_up: bool | UnsetType = UNSET
    device_id: Name | UnsetType | None = UNSET
    device_owner: Name | UnsetType | None = UNSET
    security_groups: Groups | UnsetType | None = UNSET
    port_security_enabled: bool | UnsetType = UNSET
    allowed_address_pairs: Pairs | UnsetType | None = UNSET
    dns_name: DnsText | UnsetType | None = UNSET
    dns_domain: DnsText | UnsetType | None = UNSET
    extra_dhcp_opts: DhcpOpts | UnsetType | None = UNSET
    host_id: Name | UnsetType | None = UNSET
    vnic_type: Name | UnsetType = UNSET
    profile: dict[str, Any] | UnsetType | None = UNSET
    qos_policy_id: Uuid | UnsetType | None = UNSET


class FixedIP(View):
    subnet_id: str
    ip_address: str


class AddressPair(View):
    ip_address: str
    mac_address: str


class DnsAssignment(View):
    """What a name server of the port's network says of one of its addresses."""

    ip_address: str
    hostname: str
    fqdn: str


class DhcpOpt(View):
    opt_name: str
    opt_value: str
    ip_version: int


class CarriedPort(View):
    port_id: str
    segmentation_type: str
    segmentation_id: int
    mac_address: str


class TrunkDetails(View):
    trunk_id: str
    sub_ports: list[CarriedPort]


class Port(StandardView, kw_only=True, rename=WIRE):
    """The `binding:` fields except `vnic_type` are shown to admins and components alone."""

    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str
    fixed_ips: list[FixedIP]
    security_groups: list[str]
    port_security_enabled: bool
    allowed_address_pairs: list[AddressPair]
    qos_policy_id: str | None
    qos_network_policy_id: str | None
    vnic_type: str = "normal"
    dns_name: str = ""
    dns_domain: str = ""
    dns_assignment: list[DnsAssignment] = msgspec.field(default_factory=list)
    extra_dhcp_opts: list[DhcpOpt] = msgspec.field(default_factory=list)
    host_id: str | UnsetType = UNSET
    profile: dict[str, Any] | UnsetType = UNSET
    vif_type: str | UnsetType = UNSET
    vif_details: dict[str, Any] | UnsetType = UNSET
    trunk_details: TrunkDetails | UnsetType = UNSET
