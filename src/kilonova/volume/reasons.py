"""Messages to users, as machine-readable reasons: upstream's numbers of actions and details."""

from __future__ import annotations

ACTIONS: dict[str, tuple[str, str]] = {
    "schedule": ("001", "schedule allocate volume"),
    "attach": ("002", "attach volume"),
    "upload": ("003", "copy volume to image"),
    "image": ("005", "copy image to volume"),
    "extend": ("007", "extend volume"),
    "create": ("008", "create volume from backend storage"),
    "snapshot create": ("009", "create snapshot"),
    "snapshot delete": ("010", "delete snapshot"),
    "delete": ("008", "delete volume"),
    "backup create": ("013", "create backup"),
    "backup delete": ("014", "delete backup"),
    "backup restore": ("015", "restore backup"),
    "revert": ("008", "revert volume to snapshot"),
}
DETAILS: dict[str, tuple[str, str]] = {
    "unknown": ("001", "An unknown error occurred."),
    "away": ("002", "Driver is not initialized at present."),
    "no back end": ("003", "Could not find any available weighted backend."),
    "upload failed": ("004", "Failed to upload volume to image at backend."),
    "no space for image": ("007", "Image used for creating volume exceeds available space."),
    "extend failed": ("010", "Volume Driver failed to extend volume."),
    "create failed": ("012", "Driver failed to create the volume."),
    "snapshot create failed": ("013", "Snapshot failed to create."),
    "snapshot busy": ("015", "Snapshot is busy."),
    "snapshot delete failed": ("016", "Snapshot failed to delete."),
    "backup create failed": ("020", "Backup driver failed to create backup."),
    "backup delete failed": ("025", "Backup driver failed to delete backup."),
    "backup restore failed": ("026", "Backup driver failed to restore backup."),
    "attach failed": ("021", "Failed to attach volume."),
    "detach failed": ("022", "Failed to detach volume."),
}
NOUNS = {"volume": "VOLUME", "snapshot": "VOLUME_SNAPSHOT", "backup": "VOLUME_BACKUP"}


def event_id(noun: str, action: str, detail: str) -> str:
    """`VOLUME_VOLUME_001_003`."""
    return f"VOLUME_{NOUNS[noun]}_{ACTIONS[action][0]}_{_detail(detail)[0]}"


def user_message(action: str, detail: str) -> str:
    return f"{ACTIONS[action][1]}: {_detail(detail)[1]}"


def _detail(detail: str) -> tuple[str, str]:
    return DETAILS.get(detail, DETAILS["unknown"])
