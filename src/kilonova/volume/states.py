"""Statuses of volumes and snapshots, and what back ends do with them, as data: which work begins from which status, what is shown
meanwhile, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

GONE = ""
"""The row is removed."""
BEFORE = "*"
"""The status that the volume had before."""

VOLUME_STATUSES = (
    "creating", "available", "deleting", "error", "error_deleting", "error_managing", "managing", "attaching",
    "in-use", "detaching", "maintenance", "restoring-backup", "error_restoring", "reserved", "awaiting-transfer",
    "backing-up", "error_backing-up", "error_extending", "downloading", "uploading", "retyping", "extending",
)  # fmt: skip
"""What an operator may set by os-reset_status."""
SNAPSHOT_STATUSES = ("available", "creating", "deleting", "error", "error_deleting")
BACKUP_STATUSES = ("available", "error")
ATTACH_STATUSES = ("detached", "attached")

SETTLED = frozenset({"available", "in-use", "error", "error_deleting", "error_extending", "error_restoring"})
REMOVABLE = frozenset({"available", "error", "error_deleting", "error_restoring", "error_extending", "error_managing"})

BESIDE: Mapping[str, tuple[str, str, str]] = {
    "create_backup": ("backing-up", BEFORE, BEFORE),
    "restore_backup": ("restoring-backup", "available", "error_restoring"),
}
"""Work on another noun → what the volume shows meanwhile, and after success and failure."""


@dataclass(frozen=True)
class Work:
    """One kind of work of a back end on a `noun` (volume, snapshot): it begins `starts`, shows `busy`, ends in `done` or
    `failed`. `event` names its notifications; `action` and `detail` its messages to users (reasons.py). `moves`: it has no
    back end yet, the conductor chooses one."""

    name: str
    noun: str
    starts: frozenset[str]
    busy: str
    done: str
    failed: str
    event: str
    action: str
    detail: str
    placed: bool = True


def _work(
    name: str, noun: str, starts: str, busy: str, done: str, failed: str, event: str, action: str, detail: str, *,
    placed: bool = True,
) -> Work:  # fmt: skip
    return Work(name, noun, frozenset(starts.split()), busy, done, failed, event, action, detail, placed)


WORKS: Mapping[str, Work] = {
    work.name: work
    for work in (
        _work(
            "create_volume", "volume", "", "creating", "available", "error",
            "volume.create", "create", "create failed", placed=False,
        ),
        _work(
            "delete_volume", "volume", " ".join(REMOVABLE), "deleting", GONE, "error_deleting",
            "volume.delete", "delete", "unknown",
        ),
        _work(
            "extend_volume", "volume", "available in-use", "extending", BEFORE, "error_extending",
            "volume.resize", "extend", "extend failed",
        ),
        _work(
            "revert_volume", "volume", "available", "reverting", "available", "error",
            "volume.revert", "revert", "unknown",
        ),
        _work(
            "upload_volume", "volume", "available in-use", "uploading", BEFORE, BEFORE,
            "volume.upload", "upload", "upload failed",
        ),
        _work(
            "create_snapshot", "snapshot", "", "creating", "available", "error",
            "snapshot.create", "snapshot create", "snapshot create failed",
        ),
        _work(
            "delete_snapshot", "snapshot", "available error error_deleting", "deleting", GONE, "error_deleting",
            "snapshot.delete", "snapshot delete", "snapshot delete failed",
        ),
        _work(
            "create_backup", "backup", "", "creating", "available", "error",
            "backup.create", "backup create", "backup create failed",
        ),
        _work(
            "restore_backup", "backup", "available", "restoring", "available", "available",
            "backup.restore", "backup restore", "backup restore failed",
        ),
        _work(
            "delete_backup", "backup", "available error", "deleting", GONE, "error_deleting",
            "backup.delete", "backup delete", "backup delete failed",
        ),
        _work("discard_volume", "", "", "", "", "", "", "", ""),
    )
}  # fmt: skip
