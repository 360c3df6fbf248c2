"""Wire shapes of a server's volumes."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Boolean, Tag, Uuid, matching
from kilonova.core.web.wire import Body, View, versions

NAMES = {"server_id": "serverId", "volume_id": "volumeId"}
Device = Annotated[
    str, matching(r"\A(/dev/x?[a-z]?d?)([a-z]+)[0-9]*\Z", "a device such as /dev/vdb"), Meta(max_length=255)
]


class AttachIn(Body, kw_only=True, rename=NAMES):
    volume_id: Uuid
    device: Device | None = None
    tag: Annotated[Tag | None, versions("2.49")] = None
    delete_on_termination: Annotated[Boolean, versions("2.79")] = False


class AttachBody(Body, kw_only=True, rename={"item": "volumeAttachment"}):
    item: AttachIn


class ChangeIn(Body, kw_only=True, rename=NAMES):
    """What a GET shows may be sent back; only `delete_on_termination` may differ, and the volume where one is swapped."""

    volume_id: Uuid
    device: Annotated[Device | UnsetType | None, versions("2.85")] = UNSET
    tag: Annotated[Tag | UnsetType | None, versions("2.85")] = UNSET
    delete_on_termination: Annotated[Boolean | UnsetType, versions("2.85")] = UNSET
    server_id: Annotated[Uuid | UnsetType, versions("2.85")] = UNSET
    id: Annotated[Uuid | UnsetType, versions("2.85")] = UNSET


class ChangeBody(Body, kw_only=True, rename={"item": "volumeAttachment"}):
    item: ChangeIn


class VolumeAttachment(View, kw_only=True, rename=NAMES):
    id: Annotated[str, versions("2.1", "2.88")]
    server_id: str
    volume_id: str
    device: str | UnsetType = UNSET
    tag: Annotated[str | None, versions("2.70")] = None
    delete_on_termination: Annotated[bool, versions("2.79")] = False
    attachment_id: Annotated[str | None, versions("2.89")] = None
    bdm_uuid: Annotated[str, versions("2.89")] = ""


class VolumeAttachmentList(View, kw_only=True, rename={"items": "volumeAttachments"}):
    items: list[VolumeAttachment]


class VolumeAttachmentBody(View, kw_only=True, rename={"item": "volumeAttachment"}):
    item: VolumeAttachment


class Attached(View, kw_only=True, rename=NAMES):
    """The answer to a volume that is being attached, until 2.100."""

    id: str
    server_id: str
    volume_id: str
    device: str | None
    tag: Annotated[str | None, versions("2.70")] = None
    delete_on_termination: Annotated[bool, versions("2.79")] = False


class AttachedBody(View, kw_only=True, rename={"item": "volumeAttachment"}):
    item: Attached
