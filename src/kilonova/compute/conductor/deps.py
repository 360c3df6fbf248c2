"""The dependencies that all classes of the conductor share."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import msgspec

from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.grants import BuildGrants
from kilonova.compute.models import BuildOutcome, RequestSpec, Selection, StepRecord
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.scheduler.interface import SchedulerAPI
from kilonova.compute.scheduler.request import resources
from kilonova.compute.states import Task, is_launching
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import hosts, request_specs
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.core import log
from kilonova.core.bus import Bus
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database
from kilonova.core.faults import Faults
from kilonova.placement.client import PlacementClient

logger = log.get("conductor")


@dataclass
class Deps:
    """`database` has an outbox; until `settled_at` (monotonic) hosts may just be starting, or could not say that they live."""

    database: Database
    bus: Bus
    placement: PlacementClient
    clock: Clock
    faults: Faults
    options: ConductorOptions
    events: ServerEvents
    grants: BuildGrants
    settled_at: float = 0.0

    @cached_property
    def scheduler(self) -> SchedulerAPI:
        return self.bus.client(SchedulerAPI)

    def now(self) -> dt.datetime:
        return self.clock.row_time()

    def ago(self, seconds: float) -> dt.datetime:
        return self.now() - dt.timedelta(seconds=seconds)

    async def alive(self, connection: Connection, names: Collection[str]) -> set[str]:
        """The hosts among these that are up. Where the whole cloud is starting, one may just not have reported yet, unless an
        operator said that it is down."""
        if not names:
            return set()
        if self.clock.monotonic() < self.settled_at:
            return set(names) - await hosts.forced_down(connection, list(names))
        return await hosts.alive(connection, list(names), self.ago(self.options.service_down_time))

    def unsettle(self) -> None:
        """The broker or the database is unreachable: a host that seems to be down may only be unable to report."""
        self.settled_at = self.clock.monotonic() + self.options.startup_grace

    def step(
        self,
        row: SpecifiedRow,
        request_id: str,
        step: str,
        began: dt.datetime,
        *,
        component: str = "conductor",
        host: str | None = None,
        attempt: int = 1,
        ended: dt.datetime | None = None,
        error: str | None = None,
        action: str = "create",
    ) -> StepRecord:
        """A step that ended, now unless a time is given; `error` is its reason when it failed."""
        return StepRecord(
            key=self.clock.hex_id(),
            server_uuid=row.uuid,
            request_id=request_id,
            action=action,
            step=step,
            component=component,
            host=host,
            attempt=attempt,
            started_at=began,
            finished_at=ended or self.now(),
            result="Success" if error is None else "Error",
            detail=error,
        )

    def placing(
        self, row: SpecifiedRow, request_id: str, selection: Selection, began: dt.datetime, now: dt.datetime, *, attempt: int,
        action: str = "create",
    ) -> list[StepRecord]:  # fmt: skip
        """Steps 7 to 9 of a launch, of a server that was placed."""
        step = partial(self.step, row, request_id, attempt=attempt, action=action)
        taking, taken, host = selection.claim_began or now, selection.claim_ended or now, selection.host
        return [
            step("schedule", began, ended=taking),
            step("claim", taking, ended=taken, component="scheduler", host=host),
            step("dispatch", taken, ended=now, host=host),
        ]

    async def settle_claims(self, uuids: Sequence[str]) -> None:
        """`settle_claim` for each; what can't be done now is left to the reconciler."""
        for error in await asyncio.gather(*(self.settle_claim(uuid) for uuid in uuids), return_exceptions=True):
            if isinstance(error, BaseException):
                logger.warning("claim left to the reconciler", error=str(error))

    async def settle_claim(self, uuid: str) -> None:
        """After a claim was written for a server that another process has changed meanwhile: make the claim what the row
        says."""
        async with self.database.reading() as connection:
            row = await servers.get(connection, uuid)
            node = await hosts.node(connection, row.host) if row is not None and row.host is not None else None
        if row is None or row.deleted or row.task_state == Task.DELETING:
            await self.placement.release(uuid)
        elif row.host is None:
            if not is_launching(row.vm_state, row.task_state):
                await self.placement.release(uuid)
        elif node is not None and row.spec is not None:
            wanted = resources(request_specs.decode(row.spec))
            if wanted and not await self.placement.claim(
                uuid, node.uuid, wanted, project_id=row.project_id, user_id=row.user_id
            ):
                logger.error("claim of a placed server is missing", server=uuid, host=row.host)


def own_steps(ctx: RequestContext, outcome: BuildOutcome, *, theirs: bool) -> list[StepRecord]:
    """The steps that count: a host whose name the bus has authenticated writes the history of no other host's servers (`theirs`:
    the server is being built there)."""
    if ctx.sender is None:
        return outcome.steps
    return [s for s in outcome.steps if s.server_uuid == outcome.server_uuid] if theirs else []


def finished_spec(spec: RequestSpec) -> RequestSpec:
    """What is kept of a spec once the launch ended: no password, nothing of its attempts."""
    return msgspec.structs.replace(
        spec, admin_pass=None, alternates=[], failed_hosts={}, failed_details={}, disk_from=None
    )


def on_behalf(request_id: str, project_id: str, user_id: str) -> RequestContext:
    """The component itself, for a user's server."""
    return RequestContext(
        request_id=request_id, project_id=project_id, user_id=user_id, is_service=True, roles=("admin", "service")
    )
