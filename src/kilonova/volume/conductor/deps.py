"""What the parts of the volume conductor share."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import msgspec

from kilonova.core import log
from kilonova.core.bus import Bus
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, Transaction
from kilonova.volume.dispatch import Dispatch
from kilonova.volume.models import Order, Requester
from kilonova.volume.notifications import VolumeEvents
from kilonova.volume.options import VolumeConductorOptions
from kilonova.volume.states import WORKS, Work
from kilonova.volume.store import messages
from kilonova.volume.store.backups import BACKUPS, BackupRow
from kilonova.volume.store.snapshots import SNAPSHOTS, SnapshotRow
from kilonova.volume.store.tasks import TaskRow
from kilonova.volume.store.volumes import VOLUMES, VolumeRow

logger = log.get("volume")
Subject = VolumeRow | SnapshotRow | BackupRow


@dataclass
class Deps:
    """`database` has an outbox; until `settled_at` (monotonic) agents may just be starting, or could not say that they live."""

    database: Database
    bus: Bus
    clock: Clock
    options: VolumeConductorOptions
    events: VolumeEvents
    settled_at: float = 0.0

    @property
    def dispatch(self) -> Dispatch:
        return Dispatch(self.clock, self.events)

    def now(self) -> dt.datetime:
        return self.clock.row_time()

    @property
    def settled(self) -> bool:
        return self.clock.monotonic() >= self.settled_at

    def unsettle(self) -> None:
        """The broker or the database is unreachable: an agent that seems to be down may only be unable to report."""
        self.settled_at = self.clock.monotonic() + self.options.startup_grace


class Job(msgspec.Struct):
    """A task with what it is about; `volume`, `snapshot`, `backup` are None when they are gone, or none of its business."""

    task: TaskRow
    order: Order
    who: Requester
    volume: VolumeRow | None
    snapshot: SnapshotRow | None
    backup: BackupRow | None
    tried: list[list[str]]

    @property
    def work(self) -> Work:
        return WORKS[self.order.work]

    @property
    def subject(self) -> Subject | None:
        beside: dict[str, Subject | None] = {"snapshot": self.snapshot, "backup": self.backup}
        return beside.get(self.work.noun, self.volume)

    def ctx(self) -> RequestContext:
        return RequestContext(
            request_id=self.who.request_id, user_id=self.who.user_id, project_id=self.who.project_id, is_service=True
        )


async def job_of(connection: Connection, task: TaskRow) -> Job:
    order = msgspec.json.decode(task.order, type=Order)
    order.pool = task.host or ""
    volume = await VOLUMES.get(connection, order.volume_id, lock=True)
    snapshot = None
    if order.snapshot_id is not None and WORKS[order.work].noun == "snapshot":
        snapshot = await SNAPSHOTS.get(connection, order.snapshot_id, lock=True)
    backup = await BACKUPS.get(connection, order.backup_id, lock=True) if order.backup_id is not None else None
    who = msgspec.json.decode(task.request, type=Requester)
    return Job(task, order, who, volume, snapshot, backup, msgspec.json.decode(task.tried, type=list[list[str]]))


async def tell(deps: Deps, tx: Transaction, job: Job, *, action: str | None = None, detail: str) -> None:
    """Write for the user why it failed."""
    subject = job.subject
    if subject is None or not job.work.noun:
        return
    await messages.tell(
        tx.connection, noun=job.work.noun, action=action or job.work.action, detail=detail or job.work.detail,
        now=deps.now(), ttl=deps.options.message_ttl, id=deps.clock.uuid(), project_id=subject.project_id,
        resource_uuid=subject.id, request_id=job.who.request_id,
    )  # fmt: skip
