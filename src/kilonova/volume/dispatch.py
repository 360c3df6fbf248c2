"""How a request becomes work of a back end: a row of `tasks` and a message to the conductor, in the request's own transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction
from kilonova.volume.conductor.interface import VolumeConductorAPI
from kilonova.volume.models import Order, Requester
from kilonova.volume.notifications import VolumeEvents
from kilonova.volume.states import WORKS
from kilonova.volume.store.backups import BackupRow
from kilonova.volume.store.snapshots import SnapshotRow
from kilonova.volume.store.tasks import TASKS
from kilonova.volume.store.volumes import VolumeRow


def encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


@dataclass(frozen=True)
class Dispatch:
    clock: Clock
    events: VolumeEvents

    async def begin(
        self, tx: Transaction, ctx: RequestContext, work: str, row: VolumeRow | SnapshotRow, *, volume: VolumeRow, **given: Any
    ) -> None:  # fmt: skip
        """The work is to be done with `row`, whose status the caller has set; `given` are fields of the order."""
        subject = given.get("snapshot_id") if WORKS[work].noun == "snapshot" else volume.id
        order = Order(
            task_id=self.clock.uuid(), work=work, volume_id=volume.id, size=volume.size, pool=volume.host or ""
        )
        for name, value in given.items():
            setattr(order, name, value)
        await self.write(tx, ctx, order, subject or volume.id)
        self.events.send(tx, ctx, f"{WORKS[work].event}.start", row, {"status": WORKS[work].busy})

    async def begin_backup(self, tx: Transaction, ctx: RequestContext, work: str, row: BackupRow, **given: Any) -> None:
        """The same for a backup; `given` are the volume's pool and size, and what else differs."""
        order = Order(task_id=self.clock.uuid(), work=work, volume_id=row.volume_id, backup_id=row.id, pool=row.host)
        for name, value in given.items():
            setattr(order, name, value)
        await self.write(tx, ctx, order, row.id)
        self.events.send(tx, ctx, f"{WORKS[work].event}.start", row, {"status": WORKS[work].busy})

    async def write(self, tx: Transaction, ctx: RequestContext, order: Order, subject: str) -> None:
        who = Requester(request_id=ctx.request_id, user_id=ctx.user_id, project_id=ctx.project_id)
        await TASKS.add(
            tx.connection, id=order.task_id, work=order.work, subject_id=subject, host=order.pool or None, order=encode(order),
            request=encode(who), tried="[]", created_at=self.clock.row_time(),
        )  # fmt: skip
        await tx.outbox(VolumeConductorAPI).run_task(msgspec.structs.replace(ctx, token=None), order.task_id)
