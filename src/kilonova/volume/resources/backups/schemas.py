"""Wire shapes of backups."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from kilonova.core.web.wire import Body, View, versions
from kilonova.volume.fields import Boolean, Link, Metadata, Name, Text, Uuid


class BackupNew(View, kw_only=True):
    """`incremental`: only what differs from the volume's newest backup; `force`: also of a volume that is in use."""

    volume_id: Uuid
    container: Text | None = None
    name: Name | None = None
    description: Text | None = None
    incremental: Boolean = False
    force: Boolean = False
    snapshot_id: Uuid | None = None
    metadata: Annotated[Metadata | UnsetType | None, versions("3.43")] = UNSET
    availability_zone: Annotated[Text | UnsetType | None, versions("3.51")] = UNSET


class BackupCreate(View, kw_only=True):
    backup: BackupNew


class BackupChange(Body, kw_only=True):
    name: Name | UnsetType | None = UNSET
    description: Text | UnsetType | None = UNSET
    metadata: Annotated[Metadata | UnsetType, versions("3.43")] = UNSET


class BackupUpdate(Body, kw_only=True):
    backup: BackupChange


class BackupBrief(View, kw_only=True):
    id: str
    name: str | None
    links: list[Link]


class BackupMade(BackupBrief, kw_only=True):
    metadata: Annotated[dict[str, str], versions("3.43")]


class BackupView(BackupBrief, kw_only=True):
    """`size` GiB of the volume."""

    volume_id: str
    description: str | None
    status: str
    fail_reason: str | None
    size: int
    object_count: int
    container: str | None
    availability_zone: str | None
    created_at: str
    updated_at: str | None
    data_timestamp: str | None
    is_incremental: bool
    has_dependent_backups: bool
    snapshot_id: str | None
    project_id: Annotated[str | UnsetType, versions("3.18", name="os-backup-project-attr:project_id")] = UNSET
    metadata: Annotated[dict[str, str], versions("3.43")]
    user_id: Annotated[str, versions("3.56")]
    encryption_key_id: Annotated[str | None, versions("3.64")] = None


class BackupBody(View, kw_only=True):
    backup: BackupView


class MadeBody(View, kw_only=True):
    backup: BackupMade


class Backups(View, kw_only=True):
    backups: list[BackupBrief]
    backups_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class BackupsDetail(View, kw_only=True):
    backups: list[BackupView]
    backups_links: list[Link] | UnsetType = UNSET
    count: int | UnsetType = UNSET


class RestoreWish(Body, kw_only=True):
    """Into a volume that is there, or into a new one with this name."""

    volume_id: Uuid | None = None
    name: Name | None = None


class RestoreBody(Body, kw_only=True):
    restore: RestoreWish


class Restored(View, kw_only=True):
    backup_id: str
    volume_id: str
    volume_name: str


class RestoredBody(View, kw_only=True):
    restore: Restored


class StatusChange(Body, kw_only=True):
    status: str


class Nothing(View, kw_only=True):
    """An action without arguments."""
