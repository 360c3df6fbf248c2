"""Nothing stays unfinished: tasks that were never sent are sent, and those of back ends that are down are given to others or
given up. An agent that was given a task and lives is waited for."""

from __future__ import annotations

import datetime as dt

from kilonova.core.db import Connection, retried
from kilonova.core.periodic import Repeated
from kilonova.volume.conductor.deps import Deps, job_of, logger
from kilonova.volume.conductor.placing import Placing
from kilonova.volume.conductor.results import Results
from kilonova.volume.models import service_of
from kilonova.volume.store import messages, services, tasks
from kilonova.volume.store.tasks import TASKS

EXPIRE_EVERY = dt.timedelta(hours=1)


class Watch:
    def __init__(self, deps: Deps, placing: Placing, results: Results) -> None:
        self.deps, self.placing, self.results = deps, placing, results
        self._expired: dt.datetime | None = None
        self.repeated = Repeated("watch of volume tasks", deps.clock, deps.options.watch_interval, self.check)

    async def check(self) -> None:
        if not self.deps.bus.ready:
            self.deps.unsettle()
        before = self.deps.now() - dt.timedelta(seconds=self.deps.options.watch_interval)
        async with self.deps.database.reading() as connection:
            waiting = await tasks.waiting(connection, before)
            up = await self._up(connection)
        patience = dt.timedelta(seconds=self.deps.options.resend_after)
        for task in waiting:
            if task.sent_at is None:
                await self.placing.run(task.id)
            elif self.deps.settled and task.host is not None and service_of(task.host) not in up:
                await self._abandoned(task.id, task.host)
            elif task.host is not None and task.sent_at < self.deps.now() - patience:
                await self.placing.send_again(task.id, task.host)
        await self._expire()

    @retried
    async def _expire(self) -> None:
        """Messages to users that are older than they are kept for."""
        now = self.deps.now()
        if self._expired is not None and now - self._expired < EXPIRE_EVERY:
            return
        self._expired = now
        async with self.deps.database.transaction() as tx:
            await messages.expire(tx.connection, now)

    async def _up(self, connection: Connection) -> set[str]:
        now, patience = self.deps.now(), self.deps.options.backend_down_time
        found = await services.find(connection, binary=services.BACKEND)
        return {row.host for row in found if services.is_up(row, now, patience)}

    @retried
    async def _abandoned(self, task_id: str, pool: str) -> None:
        """Its agent is down. A removal of leftovers waits for it."""
        async with self.deps.database.transaction() as tx:
            task = await TASKS.get(tx.connection, task_id, lock=True)
            if task is None or task.host != pool or task.sent_at is None:
                return
            job = await job_of(tx.connection, task)
            if job.work.name == "discard_volume":
                return
            logger.warning("back end is down", work=task.work, subject=task.subject_id, pool=pool)
            if not job.work.placed and len(job.tried) + 1 < self.deps.options.attempts:
                await self.results.elsewhere(tx, job, "its back end is down", leftovers=True)
            else:
                await self.results.give_up(tx, job, "away")
