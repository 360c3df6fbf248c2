"""Wire shapes of what is done with a volume: the value below the action's name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.web.wire import Body, View, versions
from kilonova.volume.fields import Boolean, Connector, Key, Metadata, Size, Text, Uuid


class Nothing(View, kw_only=True):
    """An action without arguments."""


class Extend(Body, kw_only=True):
    """GiB."""

    new_size: Size


class ResetStatus(Body, kw_only=True):
    status: str | UnsetType | None = UNSET
    attach_status: str | UnsetType | None = UNSET
    migration_status: str | UnsetType | None = UNSET


class SetBootable(Body, kw_only=True):
    bootable: Boolean


class Readonly(Body, kw_only=True):
    readonly: Boolean


class ImageMetadata(Body, kw_only=True):
    metadata: Metadata


class ImageMetadataKey(Body, kw_only=True):
    key: Key


class ImageMetadataView(View, kw_only=True):
    metadata: dict[str, str]


class Revert(Body, kw_only=True):
    snapshot_id: Uuid


class Retype(Body, kw_only=True):
    """A type's id or name; with `never` the volume stays at its back end."""

    new_type: Annotated[str, Meta(min_length=1, max_length=255)]
    migration_policy: Literal["on-demand", "never"] | None = None


class Attach(View, kw_only=True):
    """By a server or by a host."""

    instance_uuid: Uuid | None = None
    host_name: Text | None = None
    mountpoint: Annotated[str, Meta(min_length=1, max_length=255)]
    mode: Literal["ro", "rw"] = "rw"


class Detach(View, kw_only=True):
    attachment_id: Uuid | None = None


class ForceDetach(View, kw_only=True):
    attachment_id: Uuid | None = None
    connector: Connector | None = None


class Connection(View, kw_only=True):
    connector: Connector


class ConnectionView(View, kw_only=True):
    connection_info: dict[str, Any]


class Upload(View, kw_only=True):
    """`visibility` and `protected` are there since 3.1."""

    image_name: Annotated[str, Meta(min_length=1, max_length=255)]
    force: Boolean = False
    disk_format: Literal["raw", "qcow2"] | None = None
    container_format: Literal["bare"] | None = None
    visibility: Annotated[Literal["public", "private", "shared", "community"] | UnsetType, versions("3.1")] = UNSET
    protected: Annotated[Boolean | UnsetType, versions("3.1")] = UNSET


class Uploaded(View, kw_only=True):
    """The image that is being made of the volume."""

    id: str
    status: str
    size: int
    display_description: str | None
    updated_at: str | None
    volume_type: dict[str, Any] | None
    container_format: str
    disk_format: str
    image_id: str
    image_name: str
    visibility: Annotated[str | UnsetType, versions("3.1")] = UNSET
    protected: Annotated[bool | UnsetType, versions("3.1")] = UNSET


class UploadedBody(View, kw_only=True):
    uploaded: Uploaded = field(name="os-volume_upload_image")
