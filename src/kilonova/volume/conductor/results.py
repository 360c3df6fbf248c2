"""How tasks end: the rows follow, or another back end is asked, or the user is told why not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from kilonova.core.db import Transaction, retried
from kilonova.volume import reasons
from kilonova.volume.attaching import usage_status
from kilonova.volume.conductor.deps import Deps, Job, job_of, logger, tell
from kilonova.volume.conductor.interface import VolumeConductorAPI
from kilonova.volume.dispatch import encode
from kilonova.volume.models import Order, Outcome, machine_of
from kilonova.volume.states import BEFORE, BESIDE, GONE
from kilonova.volume.store import backups, snapshots, volumes
from kilonova.volume.store.backups import BACKUPS
from kilonova.volume.store.snapshots import SNAPSHOTS
from kilonova.volume.store.tasks import TASKS
from kilonova.volume.store.volumes import VOLUMES

ROWS: Mapping[str, tuple[Any, Callable[..., Awaitable[None]]]] = {
    "volume": (VOLUMES, volumes.remove),
    "snapshot": (SNAPSHOTS, snapshots.remove),
    "backup": (BACKUPS, backups.remove),
}
FACTS = ("object_count",)
"""What a back end may say of what it made."""
USED = ("available", "in-use")


class Results:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    @retried
    async def ended(self, outcome: Outcome) -> bool:
        """False: it is not this machine's task, or no task any more, and the volume is not this back end's."""
        async with self.deps.database.transaction() as tx:
            task = await TASKS.get(tx.connection, outcome.task_id, lock=True)
            if task is None or task.host is None or machine_of(task.host) != outcome.host:
                return await self._kept(tx, outcome)
            job = await job_of(tx.connection, task)
            if outcome.ok:
                await self._done(tx, job, outcome)
            elif outcome.elsewhere and self._may_try_again(job):
                await self.elsewhere(tx, job, outcome.text, leftovers=False)
            else:
                logger.warning(
                    "back end failed", work=task.work, subject=task.subject_id, pool=task.host, reason=outcome.text
                )
                await self.give_up(tx, job, outcome.code)
        return True

    async def _kept(self, tx: Transaction, outcome: Outcome) -> bool:
        """Whether the volume is this back end's, also where nothing waits for its task: a report is repeated when its answer was
        lost, and by then the volume is in use."""
        volume = await VOLUMES.get(tx.connection, outcome.volume_id)
        return volume is not None and volume.host == outcome.pool and machine_of(outcome.pool) == outcome.host

    def _may_try_again(self, job: Job) -> bool:
        return not job.work.placed and len(job.tried) + 1 < self.deps.options.attempts

    async def _done(self, tx: Transaction, job: Job, outcome: Outcome) -> None:
        await TASKS.remove(tx.connection, job.task.id)
        values: dict[str, Any] = {"updated_at": self.deps.now()} | AFTER.get(job.work.name, _nothing)(job.order)
        values |= {name: value for name, value in outcome.facts.items() if name in FACTS}
        if job.work.name == "create_volume":
            values["launched_at"] = self.deps.now()
        await self._settle(tx, job, job.work.done, values)
        await self._settle_beside(tx, job, ok=True)
        if job.work.name == "extend_volume" and job.order.before == "in-use":
            await tx.outbox(VolumeConductorAPI).tell_extended(job.ctx(), job.order.volume_id)
        if job.subject is not None and job.work.event:
            self.deps.events.send(tx, job.ctx(), f"{job.work.event}.end", job.subject, values)

    async def give_up(self, tx: Transaction, job: Job, detail: str, *, action: str | None = None) -> None:
        """The task has failed for good."""
        await TASKS.remove(tx.connection, job.task.id)
        values: dict[str, Any] = {"updated_at": self.deps.now()}
        if job.work.name == "extend_volume" and job.volume is not None:
            values["quota_size"] = job.volume.size
        if job.work.noun == "backup":
            values["fail_reason"] = reasons.user_message(action or job.work.action, detail or job.work.detail)[:255]
        await self._settle(tx, job, job.work.failed, values)
        await self._settle_beside(tx, job, ok=False)
        for snapshot_id in job.order.snapshots:
            await SNAPSHOTS.change(tx.connection, snapshot_id, {"status": "error_deleting"}, status="deleting")
        await tell(self.deps, tx, job, action=action, detail=detail)
        if job.subject is not None and job.work.event:
            reason = detail or job.work.detail
            self.deps.events.send(tx, job.ctx(), f"{job.work.event}.error", job.subject, values, reason=reason)

    async def _before(self, tx: Transaction, job: Job) -> str:
        """The status that the volume had; its attachments may have changed meanwhile."""
        before = job.order.before
        return await usage_status(tx.connection, job.order.volume_id) if before in USED else before

    async def elsewhere(self, tx: Transaction, job: Job, reason: str, *, leftovers: bool) -> None:
        """Let another back end make the volume; `leftovers`: the one that could not may have half of it, and removes that when
        it is there again."""
        pool = job.task.host or ""
        tried = [*job.tried, [pool, reason[:500]]]
        await TASKS.change(tx.connection, job.task.id, {"host": None, "sent_at": None, "tried": encode(tried)})
        await VOLUMES.change(tx.connection, job.order.volume_id, {"host": None})
        await tx.outbox(VolumeConductorAPI).run_task(job.ctx(), job.task.id)
        if leftovers:
            await self.discard(tx, job, pool)

    async def discard(self, tx: Transaction, job: Job, pool: str) -> None:
        order = Order(task_id=self.deps.clock.uuid(), work="discard_volume", volume_id=job.order.volume_id, pool=pool)
        await self.deps.dispatch.write(tx, job.ctx(), order, job.order.volume_id)

    async def _settle(self, tx: Transaction, job: Job, status: str, values: dict[str, Any]) -> None:
        """The row's status, unless an operator has set another one meanwhile; or the row goes."""
        work, subject = job.work, job.subject
        if subject is None or not work.noun:
            return
        rows, remove = ROWS[work.noun]
        if status == GONE and subject.status == work.busy:
            await remove(tx.connection, subject.id)
            return
        values = {name: value for name, value in values.items() if name in rows.table.c}
        if work.name == "create_snapshot" and status == work.done:
            values["progress"] = "100%"
        if subject.status == work.busy:
            values["status"] = await self._before(tx, job) if status == BEFORE else status
        await rows.change(tx.connection, subject.id, values)

    async def _settle_beside(self, tx: Transaction, job: Job, *, ok: bool) -> None:
        """The volume of a backup that was made or restored."""
        if job.work.name not in BESIDE or job.volume is None:
            return
        busy, done, failed = BESIDE[job.work.name]
        if job.volume.status == busy:
            status = done if ok else failed
            changed = {
                "status": await self._before(tx, job) if status == BEFORE else status,
                "updated_at": self.deps.now(),
            }
            await VOLUMES.change(tx.connection, job.volume.id, changed)


def _nothing(_order: Order) -> dict[str, Any]:
    return {}


AFTER: Mapping[str, Callable[[Order], dict[str, Any]]] = {
    "extend_volume": lambda order: {"size": order.new_size, "quota_size": order.new_size},
}
"""Work → what else changes of the volume when it is done."""
