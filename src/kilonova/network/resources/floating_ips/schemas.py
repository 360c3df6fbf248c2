"""Wire shapes of floating IPs."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import ProjectId, Text, UnnamedView, Uuid
from kilonova.network.resources.subnets.schemas import Address

NoName = Annotated[str, Meta(pattern=r"\A\Z", description="empty, as no name server publishes floating IPs")]


class FloatingIPCreate(Body, kw_only=True):
    floating_network_id: Uuid
    floating_ip_address: Address | None = None
    subnet_id: Uuid | None = None
    port_id: Uuid | None = None
    fixed_ip_address: Address | None = None
    description: Text | None = ""
    dns_name: NoName | None = ""
    dns_domain: NoName | None = ""
    project_id: ProjectId | None = None
    tenant_id: ProjectId | None = None


class FloatingIPUpdate(Body):
    """`port_id` null leads it nowhere, and so does a body that sets nothing."""

    port_id: Uuid | UnsetType | None = UNSET
    fixed_ip_address: Address | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    dns_name: NoName | UnsetType | None = UNSET
    dns_domain: NoName | UnsetType | None = UNSET


class PortDetails(View):
    name: str
    network_id: str
    mac_address: str
    admin_state_up: bool
    status: str
    device_id: str
    device_owner: str


class Forwarded(View):
    """A port forwarding of the floating IP. Ports are null where it has ranges of several."""

    id: str
    protocol: str
    external_port: int | None
    internal_port_id: str
    internal_ip_address: str
    internal_port: int | None


class FloatingIP(UnnamedView, kw_only=True, rename={"fixed_port_id": "port_id"}):
    floating_ip_address: str
    floating_network_id: str
    router_id: str | None
    fixed_port_id: str | None
    fixed_ip_address: str | None
    status: str
    dns_name: str = ""
    dns_domain: str = ""
    port_details: PortDetails | None
    port_forwardings: list[Forwarded]
