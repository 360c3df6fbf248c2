"""Wire shapes of subnets."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body
from kilonova.network.resources.base.schemas import Name, Names, StandardCreate, StandardUpdate, StandardView, Uuid

Address = Annotated[str, Meta(max_length=64)]


class Pool(Body):
    start: Address
    end: Address


class HostRoute(Body):
    destination: Address
    nexthop: Address


Pools = Annotated[list[Pool], Meta(max_length=256)]
Routes = Annotated[list[HostRoute], Meta(max_length=256)]
Nameservers = Annotated[list[Address], Meta(max_length=256)]


Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"]


class SubnetCreate(StandardCreate, kw_only=True):
    """`gateway_ip` null means none; left out, the first address. `ipv6_ra_mode` says what a router advertises of the subnet,
    `ipv6_address_mode` where its guests have their addresses from. Without a `cidr` the subnet has a prefix of the length
    `prefixlen` from a subnet pool."""

    network_id: Uuid
    cidr: Address | None = None
    ip_version: Literal[4, 6] = 4
    gateway_ip: Address | UnsetType | None = UNSET
    enable_dhcp: bool = True
    allocation_pools: Pools | UnsetType | None = UNSET
    dns_nameservers: Nameservers | None = None
    host_routes: Routes | None = None
    service_types: Names | None = None
    ipv6_ra_mode: Mode | None = None
    ipv6_address_mode: Mode | None = None
    subnetpool_id: Uuid | None = None
    use_default_subnetpool: bool = False
    prefixlen: Annotated[int, Meta(ge=0, le=128)] | None = None
    segment_id: Name | None = None
    dns_publish_fixed_ip: Literal[False] = False


class SubnetUpdate(StandardUpdate):
    gateway_ip: Address | UnsetType | None = UNSET
    enable_dhcp: bool | UnsetType = UNSET
    allocation_pools: Pools | UnsetType = UNSET
    dns_nameservers: Nameservers | UnsetType | None = UNSET
    host_routes: Routes | UnsetType | None = UNSET
    service_types: Names | UnsetType | None = UNSET


class Subnet(StandardView, kw_only=True):
    network_id: str
    ip_version: int
    cidr: str
    gateway_ip: str | None
    enable_dhcp: bool
    allocation_pools: list[Pool]
    dns_nameservers: list[str]
    host_routes: list[HostRoute]
    service_types: list[str] = msgspec.field(default_factory=list)
    ipv6_ra_mode: str | None = None
    ipv6_address_mode: str | None = None
    subnetpool_id: str | None = None
    external: bool = msgspec.field(default=False, name="router:external")
