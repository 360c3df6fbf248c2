"""Tasks on their way to a back end: the choice of one for a new volume, and the message to its agent."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.db.locks import hold
from kilonova.volume.agent.interface import VolumeAgentAPI
from kilonova.volume.conductor.deps import Deps, Job, job_of, logger
from kilonova.volume.conductor.results import Results
from kilonova.volume.dispatch import encode
from kilonova.volume.models import machine_of, service_of
from kilonova.volume.scheduler.filters import choose
from kilonova.volume.scheduler.pools import Pool, Request
from kilonova.volume.store import items, services
from kilonova.volume.store.tasks import TASKS
from kilonova.volume.store.volumes import VOLUMES, VolumeRow, promised
from kilonova.volume.tables import locks


class Placing:
    def __init__(self, deps: Deps, results: Results) -> None:
        self.deps, self.results = deps, results

    @retried
    async def run(self, task_id: str) -> None:
        """Nothing happens when it is sent already, done or given up."""
        async with self.deps.database.transaction() as tx:
            task = await TASKS.get(tx.connection, task_id, lock=True)
            if task is None or task.sent_at is not None:
                return
            job = await job_of(tx.connection, task)
            if task.host is None and job.volume is not None:
                await self._place(tx, job, job.volume)
            elif task.host is not None:
                await self._send(tx, job, task.host)
            else:
                await TASKS.remove(tx.connection, task_id)

    @retried
    async def send_again(self, task_id: str, pool: str) -> None:
        """To an agent that is up; one that is at it already ignores the message."""
        async with self.deps.database.transaction() as tx:
            task = await TASKS.get(tx.connection, task_id, lock=True)
            if task is not None and task.host == pool and task.sent_at is not None:
                await self._send(tx, await job_of(tx.connection, task), pool)

    async def _place(self, tx: Transaction, job: Job, volume: VolumeRow) -> None:
        """One choice at a time: what one volume takes, the next one sees."""
        await hold(tx.connection, locks, "placing")
        request = await self._request(tx.connection, job, volume)
        pool, reason = choose(await known_pools(self.deps, tx.connection), request)
        if pool is None:
            tried = ", ".join(f"{name}: {text}" for name, text in job.tried)
            logger.warning(
                "no back end for a volume", volume=volume.id, reason=f"the filter {reason} lets none pass", tried=tried
            )
            await self.results.give_up(tx, job, "no back end", action="schedule")
            return
        await VOLUMES.change(
            tx.connection, volume.id, {"host": pool.name, "availability_zone": volume.availability_zone or pool.zone}
        )
        await self._send(tx, job, pool.name)

    async def _request(self, connection: Connection, job: Job, volume: VolumeRow) -> Request:
        hints: dict[str, Any] = job.order.hints
        specs = (await items.of(connection, items.EXTRA_SPECS, [volume.type_id]))[volume.type_id]
        return Request(
            size=volume.size,
            zone=volume.availability_zone,
            extra_specs=specs,
            multiattach=volume.multiattach,
            near=await _pools_of(connection, hints.get("same_host")),
            apart=await _pools_of(connection, hints.get("different_host")),
            tried=[name for name, _ in job.tried],
            only=hints.get("pool"),
            reserved_percentage=self.deps.options.reserved_percentage,
            ratio=self.deps.options.max_over_subscription_ratio,
        )

    async def _send(self, tx: Transaction, job: Job, pool: str) -> None:
        order = msgspec.structs.replace(job.order, pool=pool)
        sent = {"host": pool, "order": encode(order), "sent_at": self.deps.now()}
        await TASKS.change(tx.connection, job.task.id, sent)
        await tx.outbox(VolumeAgentAPI, host=machine_of(pool)).run(job.ctx(), order)


async def _pools_of(connection: Connection, volume_ids: Any) -> list[str]:
    wanted = [volume_ids] if isinstance(volume_ids, str) else list(volume_ids or [])
    return [row.host for row in await VOLUMES.find(connection, id=wanted) if row.host] if wanted else []


async def known_pools(deps: Deps, connection: Connection) -> list[Pool]:
    """All pools, with whether their back ends are in service."""
    now, held = deps.now(), await promised(connection)
    backends = {row.host: row for row in await services.find(connection, binary=services.BACKEND)}
    found = []
    for row in await services.all_pools(connection):
        service = backends.get(service_of(row.name))
        if service is None:
            continue
        up = not deps.settled or services.is_up(service, now, deps.options.backend_down_time)
        found.append(
            Pool(
                name=row.name,
                service=row.service,
                zone=service.availability_zone,
                up=up,
                disabled=service.disabled,
                total_gb=row.total_gb,
                free_gb=row.free_gb,
                promised=held.get(row.name, 0),
                capabilities=msgspec.json.decode(row.capabilities),
            )
        )
    return found
