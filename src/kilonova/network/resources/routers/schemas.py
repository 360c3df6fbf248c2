"""Wire shapes of routers."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import Names, StandardCreate, StandardUpdate, StandardView, Uuid
from kilonova.network.resources.ports.schemas import FixedIPs
from kilonova.network.resources.subnets.schemas import HostRoute

MAX_ROUTES = 30


class GatewayIn(Body):
    """An empty one removes the gateway, as null does."""

    network_id: Uuid | UnsetType = UNSET
    enable_snat: bool | UnsetType = UNSET
    external_fixed_ips: FixedIPs = msgspec.field(default_factory=list)


Routes = Annotated[list[HostRoute], Meta(max_length=256)]


class RouterCreate(StandardCreate, kw_only=True):
    admin_state_up: bool = True
    external_gateway_info: GatewayIn | None = None
    availability_zone_hints: Names = msgspec.field(default_factory=list)
    distributed: Literal[False] = False
    ha: Literal[False] = False


class RouterUpdate(StandardUpdate):
    admin_state_up: bool | UnsetType = UNSET
    external_gateway_info: GatewayIn | UnsetType | None = UNSET
    routes: Routes | UnsetType | None = UNSET
    distributed: Literal[False] | UnsetType = UNSET
    ha: Literal[False] | UnsetType = UNSET


class RoutesIn(Body):
    routes: Routes


class ExternalFixedIP(View):
    subnet_id: str
    ip_address: str


class Gateway(View):
    network_id: str
    external_fixed_ips: list[ExternalFixedIP]
    enable_snat: bool


class Router(StandardView, kw_only=True):
    admin_state_up: bool
    status: str
    external_gateway_info: Gateway | None
    routes: list[HostRoute]
    availability_zone_hints: list[str]
    availability_zones: list[str]
    flavor_id: str | None = None
    distributed: bool | UnsetType = False
    ha: bool | UnsetType = False


class InterfaceIn(Body):
    """One of the two; both only where an interface is removed. Texts, so that a bad one is refused as upstream does."""

    subnet_id: str | UnsetType = UNSET
    port_id: str | UnsetType = UNSET


class Interface(View):
    """`id` is the router's."""

    id: str
    tenant_id: str
    project_id: str
    port_id: str
    network_id: str
    subnet_id: str
    subnet_ids: list[str]
