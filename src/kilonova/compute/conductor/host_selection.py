"""Calls to the scheduler, retried while it is unreachable, until a deadline."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Sequence

import msgspec

from kilonova.compute.conductor.deps import Deps, logger
from kilonova.compute.models import Decision, RequestSpec, Selection
from kilonova.compute.scheduler.filters.base import DOWN
from kilonova.compute.scheduler.hosts import zone_of
from kilonova.compute.scheduler.request import without_secrets
from kilonova.compute.store import hosts
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.retry import Backoff, retry, unreachable

BACKOFF = Backoff(0.1, 5.0)


class SchedulerAway(errors.ServiceUnavailable):
    template = "the scheduler did not answer within {seconds:g} s: {reason}"


async def select(deps: Deps, ctx: RequestContext, rows: Sequence[SpecifiedRow], spec: RequestSpec) -> list[Selection]:
    """Selections for rows of servers that are alike in project, user and spec. Raises SchedulerAway. Where the whole cloud is
    starting, a host that is not up yet is waited for; servers that have one don't wait with those that have none, which are
    left out then."""
    made = {s.server_uuid: s for s in await _ask(deps, ctx, rows, spec)}
    while deps.clock.monotonic() < deps.settled_at:
        decided = [made[row.uuid] for row in rows if not _may_come(made[row.uuid])]
        if decided:
            return decided
        await deps.clock.sleep(0.5)
        made = {s.server_uuid: s for s in await _ask(deps, ctx, rows, spec)}
    return [made[row.uuid] for row in rows]


def _may_come(selection: Selection) -> bool:
    decision = selection.decision
    return selection.host is None and (decision.candidates == 0 or any(h.saw == DOWN for h in decision.hosts))


async def _ask(deps: Deps, ctx: RequestContext, rows: Sequence[SpecifiedRow], spec: RequestSpec) -> list[Selection]:
    """One answer of the scheduler, retried while it is unreachable."""
    clock, limit = deps.clock, deps.options.schedule_timeout
    deadline, first = clock.monotonic() + limit, rows[0]
    lean, ids = without_secrets(spec), [row.uuid for row in rows]

    async def ask() -> list[Selection]:
        async with asyncio.timeout(max(deadline - clock.monotonic(), 0.01)):
            return await deps.scheduler.select_destinations(ctx, ids, lean, first.project_id, first.user_id)

    try:
        return await retry(
            ask, BACKOFF, again=_away, within=limit, clock=clock, log=logger, work="ask the scheduler", servers=ids
        )
    except (errors.BusError, errors.ServiceUnavailable, TimeoutError) as error:
        reason = error.message if isinstance(error, errors.KilonovaError) else "no reply"
        raise SchedulerAway(seconds=limit, reason=reason) from error


def _away(error: Exception) -> bool:
    return unreachable(error) or isinstance(error, TimeoutError)


async def next_alternate(deps: Deps, ctx: RequestContext, row: SpecifiedRow, spec: RequestSpec) -> Selection | None:
    """Move the claim to the first alternate of an earlier decision where it still fits; None when there is none."""
    lean = without_secrets(spec)
    left = [host for host in spec.alternates if host not in spec.failed_hosts]
    while left:
        host = left.pop(0)
        began = deps.now()
        try:
            taken = await deps.scheduler.claim(ctx, row.uuid, host, lean, row.project_id, row.user_id)
        except (errors.BusError, errors.ServiceUnavailable):
            return None  # the caller schedules again, which waits
        if taken:
            return await _selection(deps, row, host, left, began=began)
    return None


async def _selection(
    deps: Deps, row: SpecifiedRow, host: str, left: list[str], *, began: dt.datetime
) -> Selection | None:
    async with deps.database.reading() as connection:
        node = await hosts.node(connection, host)
        memberships = await hosts.aggregate_metadata(connection, host)
    if node is None:
        return None
    zone = zone_of([row.metadata for row in memberships], deps.options.default_availability_zone)
    decision = Decision(scheduler="alternates", chosen=host, alternates=left, candidates=1, at=deps.now())
    made = Selection(
        server_uuid=row.uuid, host=host, node=node.hypervisor_hostname, availability_zone=zone, alternates=left,
        decision=decision,
    )  # fmt: skip
    return msgspec.structs.replace(made, claim_began=began, claim_ended=deps.now())
