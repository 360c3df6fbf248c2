"""Wire shapes of a server's interfaces."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Tag, Uuid
from kilonova.core.web.wire import Body, View, versions


class FixedIpIn(Body, kw_only=True):
    ip_address: Annotated[str, Meta(max_length=64)]


class InterfaceIn(Body, kw_only=True):
    """A port, or a port on a network that compute makes; neither stands for the project's only network."""

    net_id: Uuid | UnsetType = UNSET
    port_id: Uuid | UnsetType = UNSET
    fixed_ips: Annotated[list[FixedIpIn], Meta(min_length=1, max_length=1)] | UnsetType = UNSET
    tag: Annotated[Tag | UnsetType, versions("2.49")] = UNSET


class AttachIn(Body, kw_only=True, rename={"item": "interfaceAttachment"}):
    item: InterfaceIn | UnsetType = UNSET


class FixedIp(View, kw_only=True):
    subnet_id: str
    ip_address: str


class Interface(View, kw_only=True):
    net_id: str
    port_id: str
    mac_addr: str
    port_state: str
    fixed_ips: list[FixedIp]
    tag: Annotated[str | None, versions("2.70")] = None


class InterfaceList(View, kw_only=True, rename={"items": "interfaceAttachments"}):
    items: list[Interface]


class InterfaceBody(View, kw_only=True, rename={"item": "interfaceAttachment"}):
    item: Interface
