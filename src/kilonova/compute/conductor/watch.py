"""Builds handed to a host that is not there. The message waits in the outbox until somebody takes it; a server that is
still untouched after `accept_timeout` makes us ask whether anybody listens for its host."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.background import Repeated
from kilonova.compute.conductor.builds import Builds
from kilonova.compute.conductor.endings import Endings
from kilonova.compute.conductor.parts import Parts, logger, on_behalf
from kilonova.compute.models import BuildOutcome, Fault
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import request_specs
from kilonova.core import errors
from kilonova.core.context import RequestContext, service_context
from kilonova.core.db import Row


class Watch:
    def __init__(self, parts: Parts, builds: Builds, endings: Endings) -> None:
        self.parts, self.builds, self.endings = parts, builds, endings
        self._again = Repeated("watch of dispatched builds", parts.clock, parts.options.watch_interval, self.check)

    def start(self) -> None:
        self._again.start()

    async def stop(self) -> None:
        await self._again.stop()

    async def check(self) -> None:
        """Look at what this process dispatched, until it is taken. Costs nothing while all is well."""
        if not self.builds.dispatched:
            return
        async with self.parts.database.reading() as connection:
            waiting = await store.building(
                connection, self.parts.now(), unaccepted=True, uuids=list(self.builds.dispatched)
            )
        untouched = {row.uuid for row in waiting}
        for uuid in [uuid for uuid in self.builds.dispatched if uuid not in untouched]:
            self.builds.dispatched.discard(uuid)
        before = self.parts.ago(self.parts.options.accept_timeout)
        await self._ask([row for row in waiting if row.updated_at < before])

    async def check_all(self) -> None:
        """The same for what any process dispatched a while ago."""
        async with self.parts.database.reading() as connection:
            waiting = await store.building(connection, self.parts.ago(self.parts.options.grace), unaccepted=True)
        await self._ask(waiting)

    async def _ask(self, rows: Sequence[Row]) -> None:
        ctx = service_context("req-" + self.parts.clock.uuid())
        gone = {host for host in {row.host for row in rows} if not await self._listens(ctx, host)}
        lost = [row for row in rows if row.host in gone]
        if not lost:
            return
        async with self.parts.database.reading() as connection:
            actions = await store.open_actions(connection, [row.uuid for row in lost])
        for row in lost:
            if row.uuid in actions and row.spec is not None:
                await self._failed(row, actions[row.uuid].request_id)

    async def _failed(self, row: Row, request_id: str) -> None:
        logger.warning("nobody takes the build", server=row.uuid, host=row.host)
        self.builds.dispatched.discard(row.uuid)
        outcome = BuildOutcome(
            server_uuid=row.uuid,
            request_id=request_id,
            attempt=request_specs.decode(row.spec).attempts,
            host=row.host,
            ok=False,
            fault=Fault(step="dispatch", reason="no compute agent listens for this host"),
        )
        ctx = on_behalf(request_id, row.project_id, row.user_id)
        await self.endings.ended(ctx, outcome)

    async def _listens(self, ctx: RequestContext, host: str) -> bool:
        try:
            await self.parts.bus.client(ComputeAPI, host=host).external_events(ctx, [])
        except errors.NoReceiver:
            return False
        return True
