"""Wire shapes of volumes and their snapshots, as compute shows them."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from kilonova.compute.web.fields import Boolean, Line, Metadata, Positive, Uuid
from kilonova.core.web.wire import Body, View

NAMES = {
    "availability_zone": "availabilityZone", "created_at": "createdAt", "name": "displayName",
    "description": "displayDescription", "volume_type": "volumeType", "snapshot_id": "snapshotId",
    "volume_id": "volumeId", "server_id": "serverId",
}  # fmt: skip


class VolumeNew(Body, kw_only=True):
    size: Positive
    display_name: Line | None = None
    display_description: Line | None = None
    volume_type: Line | None = None
    metadata: Metadata | None = None
    snapshot_id: Line | None = None
    availability_zone: Line | None = None


class VolumeCreate(Body, kw_only=True):
    volume: VolumeNew


class Attached(View, kw_only=True, rename=NAMES):
    """Nothing of a volume that no server has."""

    id: str | UnsetType = UNSET
    volume_id: str | UnsetType = UNSET
    server_id: str | UnsetType = UNSET
    device: str | UnsetType = UNSET


class Volume(View, kw_only=True, rename=NAMES):
    id: str
    status: str
    size: int
    availability_zone: str | None
    created_at: str
    attachments: list[Attached]
    name: str | None
    description: str | None
    volume_type: str | None
    snapshot_id: str | None
    metadata: dict[str, str]


class VolumeBody(View, kw_only=True):
    volume: Volume


class Volumes(View, kw_only=True):
    volumes: list[Volume]


class SnapshotNew(Body, kw_only=True):
    volume_id: Uuid
    display_name: Line | None = None
    display_description: Line | None = None
    force: Boolean = False


class SnapshotCreate(Body, kw_only=True):
    snapshot: SnapshotNew


class Snapshot(View, kw_only=True, rename=NAMES):
    id: str
    volume_id: str
    status: str
    size: int
    created_at: str
    name: str | None
    description: str | None


class SnapshotBody(View, kw_only=True):
    snapshot: Snapshot


class Snapshots(View, kw_only=True):
    snapshots: list[Snapshot]
