"""The first half of a move: a host is chosen and claimed on, and the server handed over to it."""

from __future__ import annotations

import datetime as dt

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.deps import Deps
from kilonova.compute.conductor.host_selection import next_alternate, select
from kilonova.compute.conductor.moves import claims
from kilonova.compute.conductor.moves.base import begin_leg, kind_of, settle, under_way
from kilonova.compute.conductor.moves.results import MoveResults
from kilonova.compute.conductor.network_info import NetworkInfo
from kilonova.compute.models import Move, RequestSpec, Selection
from kilonova.compute.moves import KINDS, Leg
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import decisions, request_specs, steps
from kilonova.compute.store import migrations as store
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.db import retried
from kilonova.core.faults import InjectedFault


class MovePlacement:
    def __init__(self, deps: Deps, interfaces: NetworkInfo, results: MoveResults) -> None:
        self.deps, self.interfaces, self.results = deps, interfaces, results
        self.in_flight: set[str] = set()

    async def begin(self, ctx: RequestContext, server_id: str, migration: str) -> None:
        """Look for a host and hand the server over. Repeating it is harmless."""
        if migration in self.in_flight:
            return
        self.in_flight.add(migration)
        try:
            async with self.deps.database.reading() as connection:
                record = await store.get(connection, migration)
                row = await servers.get(connection, server_id)
                others = await store.open_of(connection, server_id)
            if record is None or record.status != store.ACCEPTED:
                return
            overtaken = any(other.id > record.id for other in others)
            if row is None or row.spec is None or overtaken or not under_way(row, record):
                await self.results.gone(ctx, record)
                return
            for other in others:
                if other.uuid != migration:  # an operator has cut it off: by an evacuation, or a state that was set
                    await self.results.gone(ctx, other)
                    if kind_of(other).holds_claim:
                        await claims.give_back(self.deps, row, other)
            await self._place(ctx, row, record)
        finally:
            self.in_flight.discard(migration)

    async def _place(self, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow) -> None:
        began, move = self.deps.now(), store.decode(record)
        wishes = wishes_of(request_specs.of_living(row.spec), move)
        try:
            if kind_of(record).live:
                move = await self._needs(ctx, row, record, move)
            if kind_of(record).holds_claim:
                await claims.put_aside(self.deps, row, record.uuid)
            await self.deps.faults.point("schedule", "before")
            selection = await next_alternate(self.deps, ctx, row, wishes) if wishes.alternates else None
            if selection is None:
                (selection,) = await select(self.deps, ctx, [row], wishes)
            await self.deps.faults.point("dispatch", "before")
        except (errors.KilonovaError, InjectedFault) as error:
            reason, inner = reasons.of_scheduling(error)
            await self.results.give_up(ctx, row, record, f"Scheduling failed: {reason}", inner)
            return
        if selection.host is None:
            message, details = reasons.no_host(
                move.failed_hosts, move.failed_details, selection.decision, what=kind_of(record).what
            )
            await self.results.give_up(ctx, row, record, message, details, selection)
            return
        await self.interfaces.before_power_on(ctx, row.uuid)
        if not await self._dispatch(ctx, row, record, move, selection, began):
            await settle(self.deps, row.uuid, record)

    async def _needs(self, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, move: Move) -> Move:
        """What the guest needs of another host: its own one must be there for that, and the guest must run."""
        host = self.deps.bus.client(ComputeAPI, host=record.source_compute)
        return msgspec.structs.replace(move, needs=await host.guest_needs(ctx, row.uuid))

    @retried
    async def _dispatch(
        self, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, move: Move, selection: Selection,
        began: dt.datetime,
    ) -> bool:  # fmt: skip
        """The host, its decision, steps and message in one transaction; False when the row was changed meanwhile."""
        deps, now, kind = self.deps, self.deps.now(), kind_of(record)
        move = msgspec.structs.replace(
            move, attempts=move.attempts + 1, alternates=selection.alternates, dest=selection.host
        )
        leg = Leg.ARRIVE if move.left else kind.way[0]
        values = {"dest_compute": selection.host, "dest_node": selection.node}
        async with deps.database.transaction() as tx:
            held = await servers.get(tx.connection, row.uuid, lock=True)
            if held is None or not under_way(held, record) or not await begin_leg(
                deps, tx, ctx, held, record, move, leg, values
            ):  # fmt: skip
                return False
            made = {row.uuid: selection.decision}
            await decisions.add(tx.connection, made, {row.uuid: record.request_id}, now)
            placing = deps.placing(
                row, record.request_id, selection, began, now, attempt=move.hops + 1, action=kind.action
            )
            await steps.add(tx.connection, placing)
        return True


def wishes_of(spec: RequestSpec, move: Move) -> RequestSpec:
    """What the scheduler is asked: any host but the one it leaves and those that failed; the target by force, or through the
    filters. That the server was once forced to its host does not count. Where the migration holds the old claim, there is none
    to be kept beside the new one."""
    held = KINDS[move.kind].holds_claim
    return msgspec.structs.replace(
        spec,
        flavor=move.new_flavor or spec.flavor,
        force_host=move.target if move.force else None,
        force_node=None,
        requested_host=None if move.force else move.target,
        ignore_hosts=[] if move.same_host else [move.source],
        failed_hosts=move.failed_hosts,
        failed_details={},
        alternates=move.alternates,
        keep_claim_on=None if held else move.source,
    )
