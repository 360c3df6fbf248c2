"""Wire shapes of attachments."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import View, versions
from kilonova.volume.fields import Connector, Link, Uuid


class AttachmentNew(View, kw_only=True):
    volume_uuid: Uuid
    instance_uuid: Uuid | None = None
    connector: Connector | None = None
    mode: Annotated[Literal["rw", "ro"] | UnsetType, versions("3.54")] = UNSET


class AttachmentCreate(View, kw_only=True):
    attachment: AttachmentNew


class AttachmentChange(View, kw_only=True):
    connector: Connector


class AttachmentUpdate(View, kw_only=True):
    attachment: AttachmentChange


class AttachmentBrief(View, kw_only=True):
    id: str
    status: str
    instance: str | None
    volume_id: str


class AttachmentView(AttachmentBrief, kw_only=True):
    """`connection_info` is how a guest reaches the volume; only services are shown it again later."""

    attached_at: str
    detached_at: str
    attach_mode: str | None
    connection_info: dict[str, Any]


class AttachmentBody(View, kw_only=True):
    attachment: AttachmentView


class Attachments(View, kw_only=True):
    attachments: list[AttachmentBrief]
    attachments_links: list[Link] | UnsetType = UNSET


class AttachmentsDetail(View, kw_only=True):
    attachments: list[AttachmentView]
    attachments_links: list[Link] | UnsetType = UNSET


class Complete(View, kw_only=True, rename={"complete": "os-complete"}):
    complete: dict[str, Any] | None
