"""Watches builds that were dispatched to a host. The message waits until the host takes it. When a server is still untouched
after `accept_timeout`, the watchdog checks whether its host has a receiver. A build on a host that is down, also one in
progress, is moved to another host."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.build_results import BuildResults
from kilonova.compute.conductor.builds import Builds
from kilonova.compute.conductor.deps import Deps, logger, on_behalf
from kilonova.compute.conductor.launches import launch_of
from kilonova.compute.models import BuildOutcome, Fault
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import request_specs, steps
from kilonova.compute.store.conductor_servers import BuildingRow
from kilonova.core import errors
from kilonova.core.context import RequestContext, service_context
from kilonova.core.periodic import Repeated


class DispatchWatchdog:
    def __init__(self, deps: Deps, builds: Builds, results: BuildResults) -> None:
        self.deps, self.builds, self.results = deps, builds, results
        self._again = Repeated("watch of dispatched builds", deps.clock, deps.options.watch_interval, self.check)

    def start(self) -> None:
        self._again.start()

    async def stop(self) -> None:
        await self._again.stop()

    async def check(self) -> None:
        """Look at what this process dispatched, until it is taken. Costs nothing while all is well."""
        if not self.deps.bus.ready:
            self.deps.unsettle()
        if not self.builds.dispatched:
            return
        async with self.deps.database.reading() as connection:
            waiting = await store.building(
                connection, self.deps.now(), unaccepted=True, uuids=list(self.builds.dispatched)
            )
        untouched = {row.uuid for row in waiting}
        for uuid in [uuid for uuid in self.builds.dispatched if uuid not in untouched]:
            self.builds.dispatched.discard(uuid)
        before = self.deps.ago(self.deps.options.accept_timeout)
        await self._ask([row for row in waiting if row.updated_at < before])

    async def check_all(self, grace: float) -> None:
        """The same for what any process dispatched `grace` seconds ago; and builds on hosts that are down."""
        deps = self.deps
        async with deps.database.reading() as connection:
            rows = await store.building(connection, deps.ago(grace))
            alive = await deps.alive(connection, {row.host for row in rows})
        await self._leave([row for row in rows if row.host not in alive])
        await self._ask([row for row in rows if row.host in alive and row.task_state == launch_of(row).waits])

    async def _leave(self, rows: Sequence[BuildingRow]) -> None:
        """Fail builds of hosts that are down. A host that was up all the same learns from the answer to its report that the
        build is no longer its own."""
        async with self.deps.database.reading() as connection:
            last = await steps.newest(connection, [row.uuid for row in rows]) if rows else {}
        for row in rows:
            step = last[row.uuid].step if row.uuid in last else "dispatch"
            await self._failed(row, Fault(step=step, reason="the compute host is down"))

    async def _ask(self, rows: Sequence[BuildingRow]) -> None:
        ctx = service_context("req-" + self.deps.clock.uuid())
        gone = {host for host in {row.host for row in rows} if not await self._listens(ctx, host)}
        lost = [row for row in rows if row.host in gone]
        for row in lost:
            await self._failed(row, Fault(step="dispatch", reason="no compute agent of this host is connected"))

    async def _failed(self, row: BuildingRow, fault: Fault) -> None:
        async with self.deps.database.reading() as connection:
            actions = await store.open_actions(connection, [row.uuid])
        if row.uuid not in actions or row.spec is None:
            return
        logger.warning("build not accepted by its host", server=row.uuid, host=row.host, reason=fault.reason)
        self.builds.dispatched.discard(row.uuid)
        request_id = actions[row.uuid].request_id
        outcome = BuildOutcome(
            server_uuid=row.uuid,
            request_id=request_id,
            attempt=request_specs.decode(row.spec).attempts,
            host=row.host,
            ok=False,
            fault=fault,
        )
        ctx = on_behalf(request_id, row.project_id, row.user_id)
        await self.results.ended(ctx, outcome)

    async def _listens(self, ctx: RequestContext, host: str) -> bool:
        try:
            await self.deps.bus.client(ComputeAPI, host=host).external_events(ctx, [])
        except errors.NoReceiver:
            return False
        return True
