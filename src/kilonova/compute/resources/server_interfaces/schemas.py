"""Wire shapes of what hangs under a server: metadata, tags, interfaces, actions with their events."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Metadata, Tag
from kilonova.core.web.wire import Body, View, versions


class MetadataBody(Body, kw_only=True):
    metadata: Metadata


class MetaBody(Body, kw_only=True):
    meta: Annotated[Metadata, Meta(min_length=1, max_length=1)]


class TagsBody(Body, kw_only=True):
    tags: Annotated[list[Tag], Meta(max_length=50)]


class Interface(View, kw_only=True):
    net_id: str
    port_id: str
    mac_addr: str
    port_state: str
    fixed_ips: list[dict[str, str]]
    tag: Annotated[str | None, versions("2.70")] = None


class Interfaces(View, kw_only=True, rename={"items": "interfaceAttachments"}):
    items: list[Interface]


class InterfaceBody(View, kw_only=True, rename={"item": "interfaceAttachment"}):
    item: Interface


class VolumeAttachment(View, kw_only=True, rename={"server_id": "serverId", "volume_id": "volumeId"}):
    id: Annotated[str, versions("2.1", "2.88")]
    server_id: str
    volume_id: str
    device: str | None
    tag: Annotated[str | None, versions("2.70")] = None
    delete_on_termination: Annotated[bool, versions("2.79")] = False


class VolumeAttachments(View, kw_only=True, rename={"items": "volumeAttachments"}):
    items: list[VolumeAttachment]


class Event(View, kw_only=True, rename={"host_id": "hostId"}):
    """One step. Fields left UNSET are not the caller's to see."""

    event: str
    start_time: str
    finish_time: str | None
    result: str | None
    traceback: str | UnsetType | None = UNSET
    host: Annotated[str | UnsetType | None, versions("2.62")] = UNSET
    host_id: Annotated[str, versions("2.62")] = ""
    details: Annotated[str | UnsetType | None, versions("2.84")] = UNSET


class Action(View, kw_only=True):
    action: str
    instance_uuid: str
    request_id: str
    user_id: str | None
    project_id: str | None
    start_time: str
    message: str | None
    updated_at: Annotated[str | None, versions("2.58")] = None
    events: list[Event] | UnsetType = UNSET


class Actions(View, kw_only=True, rename={"items": "instanceActions"}):
    items: list[Action]
    links: Annotated[list[dict[str, str]] | UnsetType, versions("2.58")] = UNSET


class ActionBody(View, kw_only=True, rename={"item": "instanceAction"}):
    item: Action


class Decisions(View, kw_only=True):
    decisions: list[Any] = msgspec.field(default_factory=list)
