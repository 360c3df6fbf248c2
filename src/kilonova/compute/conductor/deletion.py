"""The end of a server: the claim goes first, then the row. A process that dies between the two does both again."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.parts import Parts, logger
from kilonova.compute.states import Task
from kilonova.compute.store import builds
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import hosts as host_store
from kilonova.core.context import RequestContext
from kilonova.core.db import Row


class Deletion:
    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def deleted(self, uuid: str, request_id: str) -> None:
        """The host has removed all traces, or there never were any."""
        async with self.parts.database.reading() as connection:
            row = await store.get(connection, uuid)
        if row is None or row.deleted:
            return
        if row.task_state != Task.DELETING:
            logger.warning("not marked for deletion", server=uuid, task_state=row.task_state)
            return
        await self.parts.placement.release(uuid)
        async with self.parts.database.transaction() as tx:
            now = self.parts.now()
            if await store.mark_deleted(tx.connection, uuid, now):
                await store.finish_actions(tx.connection, [uuid], ["delete"], now)
                await store.finish_actions(tx.connection, [uuid], ["create"], now, message="Error")

    async def unhosted(self, ctx: RequestContext, uuid: str, request_id: str) -> None:
        """A server without a host, or whose host may never have heard of it. One that was given to a host meanwhile is
        terminated there; a host that is away cleans up when it comes back, as the row no longer names it."""
        async with self.parts.database.reading() as connection:
            row = await store.get(connection, uuid)
            if row is None or row.deleted or row.task_state != Task.DELETING:
                return
            since = self.parts.ago(self.parts.options.service_down_time)
            alive = row.host is not None and await host_store.alive(connection, [row.host], since)
        if alive:
            await self._terminate(ctx, row, request_id)
        else:
            await self.deleted(uuid, request_id)

    async def _terminate(self, ctx: RequestContext, row: Row, request_id: str) -> None:
        async with self.parts.database.transaction() as tx:
            build = await builds.build_of(tx.connection, row.uuid)
            if build is not None:
                ref = models.ServerRef(build=build, request_id=request_id, action="delete")
                await tx.outbox(ComputeAPI, host=row.host).terminate_server(ctx, ref)
