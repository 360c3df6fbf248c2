"""The volume conductor's bus side. Every method is idempotent."""

from __future__ import annotations

import msgspec

from kilonova.core.bus.base import Undelivered
from kilonova.core.context import RequestContext
from kilonova.core.db import retried
from kilonova.volume.conductor.compute_events import ComputeEvents
from kilonova.volume.conductor.deps import Deps
from kilonova.volume.conductor.interface import VolumeConductorAPI
from kilonova.volume.conductor.placing import Placing
from kilonova.volume.conductor.results import Results
from kilonova.volume.conductor.watch import Watch
from kilonova.volume.dispatch import encode
from kilonova.volume.models import AgentReport, Order, Outcome, machine_of, service_of
from kilonova.volume.store import services, tasks
from kilonova.volume.store.tasks import TASKS


class VolumeConductor(VolumeConductorAPI):
    def __init__(self, deps: Deps, compute: ComputeEvents) -> None:
        self.deps, self.compute = deps, compute
        self.results = Results(deps)
        self.placing = Placing(deps, self.results)
        self.watch = Watch(deps, self.placing, self.results)

    async def run_task(self, ctx: RequestContext, task_id: str) -> None:
        await self.placing.run(task_id)

    async def tell_extended(self, ctx: RequestContext, volume_id: str) -> None:
        await self.compute.extended(volume_id)

    async def task_wanted(self, ctx: RequestContext, host: str, task_id: str, pool: str) -> bool:
        async with self.deps.database.reading() as connection:
            task = await TASKS.get(connection, task_id)
        return task is not None and task.host == pool and machine_of(pool) == host

    async def task_ended(self, ctx: RequestContext, outcome: Outcome) -> bool:
        return await self.results.ended(outcome)

    @retried
    async def report_agent(self, ctx: RequestContext, report: AgentReport) -> None:
        now = self.deps.now()
        async with self.deps.database.transaction() as tx:
            for backend in report.backends:
                if machine_of(backend.service) != report.host:
                    continue
                await services.seen(
                    tx.connection, backend.service, services.BACKEND, backend.availability_zone, now, self.deps.clock.uuid()
                )  # fmt: skip
                found = [
                    {"name": pool.name, "service": backend.service, "total_gb": pool.total_gb, "free_gb": pool.free_gb,
                     "capabilities": encode(pool.capabilities), "reported_at": now}
                    for pool in backend.pools if service_of(pool.name) == backend.service
                ]  # fmt: skip
                await services.put_pools(tx.connection, backend.service, found)

    async def tasks_of(self, ctx: RequestContext, host: str) -> list[Order]:
        async with self.deps.database.reading() as connection:
            return [msgspec.json.decode(row.order, type=Order) for row in await tasks.of_machine(connection, host)]

    async def undelivered(self, ctx: RequestContext) -> list[Undelivered]:
        outbox = self.deps.database.outbox
        return await outbox.undelivered() if outbox is not None else []
