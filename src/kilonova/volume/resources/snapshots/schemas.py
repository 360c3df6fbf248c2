"""Wire shapes of snapshots."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType, field

from kilonova.core.web.wire import Body, View, versions
from kilonova.volume.fields import Boolean, Link, Metadata, Name, Text, Uuid


class SnapshotNew(View, kw_only=True):
    """`force` lets a snapshot be taken of an attached volume, which is always so since 3.66."""

    volume_id: Uuid | None
    name: Name | None = None
    display_name: Name | None = None
    description: Text | None = None
    display_description: Text | None = None
    force: Boolean | UnsetType = UNSET
    metadata: Metadata | None = None


class SnapshotCreate(View, kw_only=True):
    snapshot: SnapshotNew


class SnapshotChange(Body, kw_only=True):
    name: Name | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    display_name: Name | UnsetType | None = UNSET
    display_description: Text | UnsetType | None = UNSET


class SnapshotUpdate(Body, kw_only=True):
    snapshot: SnapshotChange


class SnapshotView(View, kw_only=True):
    """`size` is the volume's when it was made, GiB."""

    id: str
    name: str | None
    description: str | None
    volume_id: str
    status: str
    size: int
    created_at: str
    updated_at: str | None
    metadata: dict[str, str]
    group_snapshot_id: Annotated[str | None, versions("3.14")]
    user_id: Annotated[str, versions("3.41")]
    consumes_quota: Annotated[bool, versions("3.65")] = True
    progress: str | UnsetType = field(default=UNSET, name="os-extended-snapshot-attributes:progress")
    project_id: str | UnsetType = field(default=UNSET, name="os-extended-snapshot-attributes:project_id")


class SnapshotBody(View, kw_only=True):
    snapshot: SnapshotView


class Snapshots(View, kw_only=True):
    snapshots: list[SnapshotView]
    snapshots_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class StatusChange(Body, kw_only=True):
    status: str


class ProgressChange(View, kw_only=True):
    status: str
    progress: str | None = None


class Nothing(View, kw_only=True):
    """An action without arguments."""
