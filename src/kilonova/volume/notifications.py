"""What happens to volumes and snapshots, published for programs outside of the cloud, in upstream's unversioned form (it has no
other): `volume.create.start`, `snapshot.delete.end`, …"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction
from kilonova.core.notify import Notification, Notifier
from kilonova.core.notify.envelope import context, timestamp
from kilonova.volume.store.backups import BackupRow
from kilonova.volume.store.snapshots import SnapshotRow
from kilonova.volume.store.volumes import VolumeRow

FORM = "unversioned"
VOLUME = {
    "tenant_id": "project_id", "user_id": "user_id", "host": "host", "availability_zone": "availability_zone",
    "volume_id": "id", "volume_type": "type_id", "display_name": "name", "launched_at": "launched_at",
    "created_at": "created_at", "status": "status", "snapshot_id": "snapshot_id", "size": "size",
}  # fmt: skip
SNAPSHOT = {
    "tenant_id": "project_id", "user_id": "user_id", "volume_id": "volume_id", "snapshot_id": "id", "display_name": "name",
    "volume_size": "size", "created_at": "created_at", "status": "status",
}  # fmt: skip
BACKUP = {
    "tenant_id": "project_id", "user_id": "user_id", "volume_id": "volume_id", "backup_id": "id", "display_name": "name",
    "size": "size", "host": "host", "created_at": "created_at", "status": "status", "fail_reason": "fail_reason",
    "object_count": "object_count",
}  # fmt: skip
FIELDS = {"volume": VOLUME, "snapshot": SNAPSHOT, "backup": BACKUP}
"""Noun → field of the payload → column."""


class VolumeEvents:
    """`publisher` is `volume.HOST`, or `snapshot.HOST`. Where notifications are not wanted, nothing is done at all."""

    def __init__(self, notifier: Notifier, clock: Clock, host: str) -> None:
        self._notifier, self._clock, self._host = notifier, clock, host

    def send(
        self, tx: Transaction, ctx: RequestContext, name: str, row: VolumeRow | SnapshotRow | BackupRow,
        values: Mapping[str, Any] | None = None, *, reason: str | None = None,
    ) -> None:  # fmt: skip
        """Send, after the commit, that `name` (`volume.create.start`) happened: `row` as it was, with what was changed in
        `values`."""
        if FORM in self._notifier.formats:
            merged = dict(row._mapping) | dict(values or {})
            tx.then(partial(self._send, ctx, name, merged, reason))

    def _send(self, ctx: RequestContext, name: str, row: dict[str, Any], reason: str | None) -> None:
        moment, noun = timestamp(self._clock.now()), name.partition(".")[0]
        payload = {field: _plain(row[column]) for field, column in FIELDS[noun].items()}
        if reason is not None:
            payload["reason"] = reason

        async def make() -> Sequence[Notification]:
            return [
                Notification(
                    topic=topic, publisher_id=f"{noun}.{self._host}", event_type=name, payload=payload,
                    priority="ERROR" if name.endswith(".error") else "INFO", context=context(ctx), timestamp=moment,
                    message_id=self._clock.uuid(),
                )
                for topic in self._notifier.options.topics
            ]  # fmt: skip

        self._notifier.send(make)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
