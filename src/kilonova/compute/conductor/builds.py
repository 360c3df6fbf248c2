"""Scheduling and dispatch: from a recorded server to a message its host has, or to a fault that says why not."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.deps import Deps, finished_spec, logger
from kilonova.compute.conductor.host_selection import next_alternate, select
from kilonova.compute.conductor.launches import ACTIONS, CREATE, launch_of
from kilonova.compute.models import RequestSpec, Selection, StepRecord
from kilonova.compute.scheduler.manager import read_group
from kilonova.compute.scheduler.plan import why_none
from kilonova.compute.scheduler.request import without_secrets
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.store import decisions, records, request_specs, steps
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.core import errors
from kilonova.core.batching import STUCK_AFTER, Batched, gather_all
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction, retried
from kilonova.core.faults import InjectedFault

GROUP_RACES = 5


class Order(msgspec.Struct):
    """The context and id of the request that asked for it."""

    ctx: RequestContext
    request_id: str


class Candidate(msgspec.Struct):
    """A server that waits for a host."""

    row: SpecifiedRow
    spec: RequestSpec
    order: Order


class Verdict(msgspec.Struct):
    """What became of the candidates of one round, by server uuid."""

    placed: dict[str, Selection] = {}
    failed: dict[str, Selection] = {}
    stale: list[str] = []  # changed by another process meanwhile
    again: list[str] = []  # the server group's policy was broken by a concurrent launch


class Builds:
    """`in_flight` are the servers this process is scheduling, `dispatched` those handed to a host that may not be there."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self.in_flight: set[str] = set()
        self.dispatched: set[str] = set()
        self._batched = Batched(self._build_all, stuck_after=STUCK_AFTER)

    async def build(self, ctx: RequestContext, server_ids: Sequence[str], request_id: str) -> None:
        """Place all of them that wait for a host; the others are left alone."""
        await self._batched(dict.fromkeys(server_ids, Order(ctx, request_id)))

    async def _build_all(self, asked: Sequence[Mapping[str, Order]]) -> Sequence[None]:
        """What many requests ask for at one moment: their servers that are alike are placed as those of one."""
        orders = {uuid: order for one in asked for uuid, order in one.items() if uuid not in self.in_flight}
        self.in_flight.update(orders)
        try:
            async with self.deps.database.reading() as connection:
                found = await store.unplaced(connection, list(orders))
            await gather_all(map(self._batch, _alike(found, orders)))
        finally:
            self.in_flight.difference_update(orders)
        return [None] * len(asked)

    async def _batch(self, batch: list[Candidate]) -> None:
        deps, began, races = self.deps, self.deps.now(), 0
        while batch and races < GROUP_RACES:
            try:
                await deps.faults.point("schedule", "before")
                selections = await self._select(batch)
                await deps.faults.point("schedule", "after")
                await deps.faults.point("dispatch", "before")
            except (errors.KilonovaError, InjectedFault) as error:
                reason, inner = reasons.of_scheduling(error)
                await self._give_up(batch, began, f"Scheduling failed: {reason}", inner)
                return
            verdict = await self._commit(batch, selections, began)
            await deps.faults.point("dispatch", "after")
            await deps.settle_claims([*verdict.stale, *verdict.failed])
            races += bool(verdict.again)
            ended = {selection.server_uuid for selection in selections}.difference(verdict.again)
            batch = [candidate for candidate in batch if candidate.row.uuid not in ended]
        if batch:
            await self._give_up(batch, began, "No valid host was found. The server group left no host free.")

    async def _select(self, batch: list[Candidate]) -> list[Selection]:
        """Alternates of an earlier decision first; servers without any left are scheduled (again)."""
        kept = await gather_all(map(self._alternate, batch))
        found = [selection for selection in kept if selection is not None]
        rest = [candidate for candidate, selection in zip(batch, kept, strict=True) if selection is None]
        if rest:
            waiting = [candidate.row for candidate in rest]
            found.extend(await select(self.deps, rest[0].order.ctx, waiting, rest[0].spec))
        return found

    async def _alternate(self, candidate: Candidate) -> Selection | None:
        if not candidate.spec.alternates:
            return None
        return await next_alternate(self.deps, candidate.order.ctx, candidate.row, candidate.spec)

    @retried
    async def _commit(self, batch: list[Candidate], selections: list[Selection], began: dt.datetime) -> Verdict:
        """Everything that follows from the selections, in one transaction: rows, specs, decisions, steps, messages."""
        by_uuid = {candidate.row.uuid: msgspec.structs.replace(candidate) for candidate in batch}  # changed below
        async with self.deps.database.transaction() as tx:
            verdict = await self._judge(tx, by_uuid, selections)
            decided = verdict.placed | verdict.failed
            now = self.deps.now()
            if verdict.placed:
                await self._dispatch(tx, by_uuid, verdict.placed, now)
            if verdict.failed:
                words = {
                    u: reasons.no_host(by_uuid[u].spec.failed_hosts, by_uuid[u].spec.failed_details, s.decision)
                    for u, s in verdict.failed.items()
                }
                await self._fail(tx, by_uuid, words, now)
            requests = {u: by_uuid[u].order.request_id for u in decided}
            await decisions.add(tx.connection, {u: s.decision for u, s in decided.items()}, requests, now)
            records = [r for u, s in decided.items() for r in self._records(by_uuid[u], s, began, now)]
            await steps.add(tx.connection, records)
        self.dispatched.update(verdict.placed)
        return verdict

    async def _judge(self, tx: Transaction, by_uuid: dict[str, Candidate], selections: list[Selection]) -> Verdict:
        open_ids = await store.lock_unplaced(tx.connection, list(by_uuid))
        hint = next(iter(by_uuid.values())).spec.scheduler_hints.get("group")
        group = await read_group(tx.connection, hint[0], list(by_uuid), lock=True) if hint else None
        verdict = Verdict(placed={}, failed={}, stale=[], again=[])
        for selection in selections:
            uuid, host = selection.server_uuid, selection.host
            if uuid not in open_ids:
                verdict.stale.append(uuid)
            elif host is None:
                verdict.failed[uuid] = selection
            elif group is not None and group.refuses(host) is not None:
                verdict.again.append(uuid)
            else:
                verdict.placed[uuid] = selection
                if group is not None:
                    group.hosts[host] = group.hosts.get(host, 0) + 1
        return verdict

    async def _dispatch(
        self,
        tx: Transaction,
        by_uuid: dict[str, Candidate],
        placed: dict[str, Selection],
        now: dt.datetime,
    ) -> None:
        values, specs = {}, {}
        for uuid, selection in placed.items():
            candidate, host = by_uuid[uuid], selection.host
            ctx, request_id = candidate.order.ctx, candidate.order.request_id
            spec = candidate.spec = msgspec.structs.replace(
                candidate.spec, attempts=candidate.spec.attempts + 1, alternates=selection.alternates
            )
            values[uuid] = {
                "host": host, "node": selection.node, "availability_zone": selection.availability_zone, "updated_at": now,
            }  # fmt: skip
            specs[uuid] = spec
            server = msgspec.structs.replace(
                records.server(candidate.row), host=host, availability_zone=selection.availability_zone
            )
            launch = launch_of(candidate.row)
            build = models.ServerBuild(
                server=server, spec=spec, request_id=request_id, attempt=spec.attempts, action=launch.action
            )
            await tx.outbox(ComputeAPI, host=host).build_and_run_server(ctx, self.deps.grants.granted(build, host))
            if launch is CREATE:  # an action's beginning was published by the API
                self.deps.events.send(tx, ctx, "create.start", candidate.row, values[uuid], host=host)
        await store.set_each(tx.connection, values)
        await store.save_specs(tx.connection, specs)

    async def _fail(
        self,
        tx: Transaction,
        by_uuid: dict[str, Candidate],
        words: dict[str, tuple[str, str]],
        now: dt.datetime,
    ) -> None:
        """Rows that are locked get no host; `words` are (message, details)."""
        values = {uuid: launch_of(by_uuid[uuid].row).given_up | {"updated_at": now} for uuid in words}
        await store.set_each(tx.connection, values)
        faults = [
            {"server_uuid": u, "code": 500, "message": m, "details": d, "host": None, "created_at": now}
            for u, (m, d) in words.items()
        ]
        await store.add_faults(tx.connection, faults)
        for uuid, (message, _) in words.items():
            candidate = by_uuid[uuid]
            event = launch_of(candidate.row).event
            self.deps.events.failed(tx, candidate.row, values[uuid], message, candidate.order.request_id, event=event)
        await store.save_specs(tx.connection, {uuid: finished_spec(by_uuid[uuid].spec) for uuid in words})
        await store.finish_actions(tx.connection, words, ACTIONS, now, message="Error")

    @retried
    async def _give_up(self, batch: list[Candidate], began: dt.datetime, reason: str, inner: str | None = None) -> None:
        """ERROR with this reason for all that still wait, and their claims released; `inner` is for admins."""
        deps, by_uuid = self.deps, {candidate.row.uuid: candidate for candidate in batch}
        logger.warning("build failed", servers=len(batch), reason=reason, inner=inner)
        async with deps.database.transaction() as tx:
            open_ids = await store.lock_unplaced(tx.connection, list(by_uuid))
            words = {}
            for uuid in by_uuid:
                if uuid in open_ids:
                    spec = by_uuid[uuid].spec
                    details = reasons.full(
                        reason if inner is None else f"{reason}: {inner}", spec.failed_hosts, spec.failed_details
                    )
                    words[uuid] = (reasons.summary(reason, spec.failed_hosts), details)
            if words:
                await self._fail(tx, by_uuid, words, deps.now())
                records = [self._unplaced(by_uuid[u], began, inner or reason) for u in words]
                await steps.add(tx.connection, records)
        await deps.settle_claims(list(by_uuid))

    def _records(
        self, candidate: Candidate, selection: Selection, began: dt.datetime, now: dt.datetime
    ) -> list[StepRecord]:
        """Steps 7 to 9 of the launch."""
        if selection.host is None:
            return [self._unplaced(candidate, began, why_none(selection.decision))]
        request_id, attempt = candidate.order.request_id, candidate.spec.attempts
        action = launch_of(candidate.row).action
        return self.deps.placing(candidate.row, request_id, selection, began, now, attempt=attempt, action=action)

    def _unplaced(self, candidate: Candidate, began: dt.datetime, reason: str) -> StepRecord:
        request_id, attempt = candidate.order.request_id, candidate.spec.attempts + 1
        action = launch_of(candidate.row).action
        return self.deps.step(
            candidate.row, request_id, "schedule", began, error=reason, attempt=attempt, action=action
        )


def _alike(found: Sequence[SpecifiedRow], orders: Mapping[str, Order]) -> list[list[Candidate]]:
    """Servers with the same owner and the same wishes to the scheduler, which it then places in one pass."""
    batches: defaultdict[tuple[str, str, bytes], list[Candidate]] = defaultdict(list)
    for row in found:
        if row.spec is None:
            logger.error("server has no request spec", server=row.uuid)
            continue
        spec = request_specs.decode(row.spec)
        wishes = msgspec.msgpack.encode(without_secrets(spec))
        batches[row.project_id, row.user_id, wishes].append(Candidate(row, spec, orders[row.uuid]))
    return list(batches.values())
