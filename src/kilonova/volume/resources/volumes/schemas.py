"""Wire shapes of volumes."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, UnsetType, field

from kilonova.core.web.wire import Body, View, versions
from kilonova.volume.fields import Boolean, Link, Metadata, Name, Size, Text, Uuid


class SchedulerHints(View, kw_only=True):
    """`same_host`, `different_host`: a volume's id or several, whose back end it is to be on, or not."""

    other_fields = Any

    same_host: Uuid | list[Uuid] | UnsetType = UNSET
    different_host: Uuid | list[Uuid] | UnsetType = UNSET


class VolumeNew(View, kw_only=True):
    """One source at most. `size` (GiB) may be left out where there is a snapshot or a volume to copy."""

    size: Size | str | None = None
    name: Name | None = None
    display_name: Name | UnsetType | None = UNSET
    description: Text | None = None
    display_description: Text | UnsetType | None = UNSET
    volume_type: str | None = None
    availability_zone: Text | None = None
    metadata: Metadata | None = None
    snapshot_id: Uuid | None = None
    source_volid: Uuid | None = None
    image_ref: str | None = field(default=None, name="imageRef")
    image_id: str | None = None
    multiattach: Boolean | None = None
    consistencygroup_id: Uuid | None = None


class Ordered(Body, kw_only=True):
    """Of the cloud's components alone: the volume's id, so that a repeated order makes no second one, and its owner."""

    id: Uuid
    project_id: str
    user_id: str


class VolumeCreate(View, kw_only=True):
    volume: VolumeNew
    ordered: Ordered | None = field(default=None, name="kilonova:order")
    hints: SchedulerHints | None = field(default=None, name="OS-SCH-HNT:scheduler_hints")


class VolumeChange(Body, kw_only=True):
    name: Name | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    display_name: Name | UnsetType | None = UNSET
    display_description: Text | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET


class VolumeUpdate(Body, kw_only=True):
    volume: VolumeChange


class AttachedView(View, kw_only=True):
    """A machine's use of a volume; the machine's name is for operators."""

    id: str
    attachment_id: str
    volume_id: str
    server_id: str | None
    host_name: str | None
    device: str | None
    attached_at: str | None


class VolumeBrief(View, kw_only=True):
    id: str
    name: str | None
    links: list[Link]


class VolumeView(VolumeBrief, kw_only=True):
    """`created_at` … are UTC without zone; `size` GiB; `bootable` is a text."""

    description: str | None
    size: int
    status: str
    created_at: str
    updated_at: str | None
    availability_zone: str | None
    bootable: str
    encrypted: bool
    multiattach: bool
    volume_type: str | None
    volume_type_id: Annotated[str, versions("3.63")]
    snapshot_id: str | None
    source_volid: str | None
    user_id: str
    replication_status: str | None
    consistencygroup_id: str | None
    group_id: Annotated[str | None, versions("3.13")]
    metadata: dict[str, str]
    attachments: list[AttachedView]
    volume_image_metadata: dict[str, str] | UnsetType = UNSET
    shared_targets: Annotated[bool, versions("3.48")] = False
    service_uuid: Annotated[str | None, versions("3.48")] = None
    provider_id: Annotated[str | UnsetType | None, versions("3.21")] = UNSET
    cluster_name: Annotated[str | UnsetType | None, versions("3.61")] = UNSET
    consumes_quota: Annotated[bool, versions("3.65")] = True
    migration_status: str | UnsetType | None = UNSET
    host: str | UnsetType | None = field(default=UNSET, name="os-vol-host-attr:host")
    tenant: str | UnsetType = field(default=UNSET, name="os-vol-tenant-attr:tenant_id")
    migstat: str | UnsetType | None = field(default=UNSET, name="os-vol-mig-status-attr:migstat")
    name_id: str | UnsetType | None = field(default=UNSET, name="os-vol-mig-status-attr:name_id")


class VolumeBody(View, kw_only=True):
    volume: VolumeView


class Volumes(View, kw_only=True):
    volumes: list[VolumeBrief]
    volumes_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class VolumesDetail(View, kw_only=True):
    volumes: list[VolumeView]
    volumes_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class Summary(View, kw_only=True):
    total_size: int
    total_count: int
    metadata: Annotated[dict[str, list[str]] | UnsetType, versions("3.36")] = UNSET


class SummaryBody(View, kw_only=True, rename={"summary": "volume-summary"}):
    summary: Summary


class MetadataBody(View, kw_only=True):
    metadata: Metadata


class MetaBody(View, kw_only=True):
    meta: Metadata
