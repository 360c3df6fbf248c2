"""Wire shapes of port forwardings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from kilonova.core.web.wire import Body, View
from kilonova.network.resources.base.schemas import Text, Uuid
from kilonova.network.resources.subnets.schemas import Address

PortNumber = Annotated[int, Meta(ge=1, le=65535)]
PortRange = Annotated[
    str,
    Meta(
        max_length=11,
        pattern=r"\A[0-9]{1,5}(:[0-9]{1,5})?\Z",
        description="a port or two, the first and last, with a colon",
    ),
]
Protocol = Literal["tcp", "udp", "sctp", "dccp"]


class PortForwardingCreate(Body, kw_only=True):
    """Of each side either the port or the range."""

    protocol: Protocol
    internal_port_id: Uuid
    internal_ip_address: Address
    external_port: PortNumber | None = None
    external_port_range: PortRange | None = None
    internal_port: PortNumber | None = None
    internal_port_range: PortRange | None = None
    description: Text | None = ""


class PortForwardingUpdate(Body):
    """What is left out stays."""

    protocol: Protocol | UnsetType = UNSET
    internal_port_id: Uuid | UnsetType = UNSET
    internal_ip_address: Address | UnsetType = UNSET
    external_port: PortNumber | None = None
    external_port_range: PortRange | None = None
    internal_port: PortNumber | None = None
    internal_port_range: PortRange | None = None
    description: Text | UnsetType | None = UNSET


class PortForwarding(View):
    """Ranges are `first:last`; `external_port` and `internal_port` are null for more than one."""

    id: str
    protocol: str
    external_port: int | None
    external_port_range: str
    internal_port_id: str
    internal_ip_address: str
    internal_port: int | None
    internal_port_range: str
    description: str
