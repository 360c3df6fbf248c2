"""Repairs servers without a pending message, and claims and ports without a server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.builds import Builds
from kilonova.compute.conductor.deletion import Deletion
from kilonova.compute.conductor.deps import Deps, logger, on_behalf
from kilonova.compute.conductor.dispatch_watchdog import DispatchWatchdog
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.launches import ACTIONS, launch_of
from kilonova.compute.conductor.moves import Moves, claims
from kilonova.compute.conductor.own_actions import OwnActions
from kilonova.compute.history import purge
from kilonova.compute.models import StepRecord
from kilonova.compute.states import Vm
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import migrations, pending_casts, steps
from kilonova.compute.store.conductor_servers import BuildingRow, SpecifiedRow
from kilonova.core import errors
from kilonova.core.db import retried
from kilonova.core.periodic import Repeated

OURS = (claims.SERVER, claims.MIGRATION)


class Reconciler:
    """Made by `ConductorManager.reconciler`. Every round does all its kinds of work; one that fails is logged and done
    again in the next."""

    def __init__(
        self,
        deps: Deps,
        builds: Builds,
        deletion: Deletion,
        watchdog: DispatchWatchdog,
        moves: Moves,
        own: OwnActions,
    ) -> None:
        self.deps, self.builds, self.deletion, self.watchdog = deps, builds, deletion, watchdog
        self.moves, self.own = moves, own
        options = deps.options
        self._nobodys: dict[str, float] = {}
        self._misplaced: dict[str, float] = {}
        self._rounds = Repeated("reconcile", deps.clock, options.reconcile_interval, self.run)
        self._sweeps = Repeated("orphans", deps.clock, options.orphan_interval, self.sweep)

    async def start(self, *, all_in_one: bool = False) -> None:
        """Where one process is the whole cloud, no other can be working on anything: the first round has no grace. Call
        it when the hosts have reported."""
        if all_in_one:
            await self.run(grace=0)
            await self.sweep(grace=0)
        self._rounds.start()
        self._sweeps.start()

    async def stop(self) -> None:
        await self._rounds.stop()
        await self._sweeps.stop()

    async def run(self, *, grace: float | None = None) -> None:
        """One round; `grace` in seconds, else the option's."""
        age = self.deps.options.grace if grace is None else grace
        try:
            await self._round(age)
        except errors.ServiceUnavailable:
            self.deps.unsettle()
            raise

    async def _round(self, age: float) -> None:
        await self.schedule_waiting(age)
        await self.deletion.finish(age)
        await self.deletion.reclaim(self.deps.options.reclaim_instance_interval)
        await self.moves.check(age)
        await self.give_up_builds()
        await self.own.check()
        await self.watchdog.check_all(age)
        if kept := self.deps.options.keep_deleted:
            await purge(self.deps.database, self.deps.ago(kept))

    async def schedule_waiting(self, grace: float) -> None:
        """Schedule servers that wait for a host although no message asks for one. While messages wait in the conductor's
        queue, theirs may be among them."""
        if await self.deps.bus.waiting(ConductorAPI.topic):
            return
        async with self.deps.database.reading() as connection:
            found = await store.waiting(connection, self.deps.ago(grace))
            if not found:
                return
            coming = await pending_casts.servers_to_build(connection)
            left = [row for row in found if row.uuid not in coming and row.uuid not in self.builds.in_flight]
            actions = await store.open_actions(connection, [row.uuid for row in left])
        requests: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
        for row in left:
            request_id = actions[row.uuid].request_id if row.uuid in actions else "req-" + self.deps.clock.uuid()
            requests[request_id, row.project_id, row.user_id].append(row.uuid)
        for (request_id, project_id, user_id), uuids in requests.items():
            logger.warning("rescheduling servers without a pending message", servers=len(uuids), request_id=request_id)
            await self.builds.build(on_behalf(request_id, project_id, user_id), uuids, request_id)

    async def give_up_builds(self) -> None:
        """Builds that showed nothing new for longer than all their steps may take."""
        limit = self.deps.options.build_timeout
        async with self.deps.database.reading() as connection:
            rows = await store.building(connection, self.deps.ago(limit))
            last = await steps.newest(connection, [row.uuid for row in rows]) if rows else {}
        if rows:
            await self._error(rows, {row.uuid: _last_seen(row, last.get(row.uuid), limit) for row in rows})

    @retried
    async def _error(self, rows: Sequence[BuildingRow], words: dict[str, tuple[str, str]]) -> None:
        """The row keeps its host and the claim: what is there is known to the host alone, which removes it on deletion. `words`
        are (message, details)."""
        async with self.deps.database.transaction() as tx:
            now = self.deps.now()
            values = {"vm_state": Vm.ERROR, "task_state": None, "updated_at": now}
            late = [
                row for row in rows if await store.swap(tx.connection, row.uuid, store.building_on(row.host), values)
            ]
            faults = [
                {"server_uuid": row.uuid, "code": 500, "message": reasons.short(words[row.uuid][0]),
                 "details": words[row.uuid][1], "host": row.host, "created_at": now}
                for row in late
            ]  # fmt: skip
            await store.add_faults(tx.connection, faults)
            for row in late:
                event = launch_of(row).event
                self.deps.events.failed(tx, row, values, reasons.short(words[row.uuid][0]), host=row.host, event=event)
            uuids = [row.uuid for row in late]
            await store.finish_actions(tx.connection, uuids, ACTIONS, now, message="Error")

    async def sweep(self, *, grace: float | None = None) -> None:
        """Claims, ports and attachments of volumes without a server, and claims on another host than their server."""
        age = self.deps.options.grace if grace is None else grace
        for work in (
            self.release_orphans(grace=age), self.repair_claims(age), self.deletion.ports.remove_orphans(age),
            self.deletion.volumes.remove_orphans(age),
        ):  # fmt: skip
            try:
                await work
            except errors.KilonovaError as error:
                logger.warning("retrying", work="orphans", error=error.message)

    async def repair_claims(self, grace: float) -> int:
        """Claims that are on another host than their server, or missing: claimed anew where the row says, once they were
        seen so for `grace` seconds; how many."""
        now, held = self.deps.clock.monotonic(), dict[str, set[str]]()
        for provider in await self.deps.placement.providers():
            for consumer in await self.deps.placement.consumers_of(provider.uuid):
                held.setdefault(consumer, set()).add(provider.uuid)
        async with self.deps.database.reading() as connection:
            rows = await store.placed(connection)
        wrong = {row.uuid for row in rows if held.get(row.uuid) != {row.provider}}
        self._misplaced = {uuid: self._misplaced.get(uuid, now) for uuid in wrong}
        due = [uuid for uuid, since in self._misplaced.items() if now - since >= grace]
        for uuid in due:
            logger.warning("correcting a claim to its server's row", server=uuid)
        await self.deps.settle_claims(due)
        return len(due)

    async def release_orphans(self, *, grace: float | None = None) -> int:
        """Give back claims whose server is deleted, unknown, or failed without a host, and of moves that ended; how many.
        Claims of other owners (made by hand through placement's API) are left alone."""
        age, now = self.deps.options.grace if grace is None else grace, self.deps.clock.monotonic()
        held: set[str] = set()
        for provider in await self.deps.placement.providers():
            held.update(await self.deps.placement.consumers_of(provider.uuid))
        async with self.deps.database.reading() as connection:
            rightful = await store.claim_holders(connection, held) if held else set()
            rightful |= await migrations.unsettled(connection) if held - rightful else set()
        self._nobodys = {uuid: self._nobodys.get(uuid, now) for uuid in held - rightful}
        released = 0
        for uuid in [uuid for uuid, since in self._nobodys.items() if now - since >= age]:
            if (await self.deps.placement.allocations(uuid)).consumer_type in OURS:
                logger.warning("releasing an orphaned claim", consumer=uuid)
                await self.deps.placement.release(uuid)
                released += 1
            del self._nobodys[uuid]
        return released


def _last_seen(row: SpecifiedRow, step: StepRecord | None, limit: float) -> tuple[str, str]:
    """For users, and for admins."""
    seen = f"the last step seen is {step.step}" if step is not None else "no step was seen"
    silent = f"showed nothing new for {limit:g} s; {seen}."
    return f"The build {silent}", f"The build on {row.host} {silent}"
