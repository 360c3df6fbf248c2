"""The second half of a move: the host of a leg reports how it went. The next leg begins, another host is looked for, the server
is there or back, or the move is given up, with every host's reason."""

from __future__ import annotations

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.deps import Deps, logger, own_steps
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.moves.base import (
    action_of,
    begin_leg,
    closed,
    kind_of,
    settle,
    under_way,
)
from kilonova.compute.conductor.moves.endings import Endings
from kilonova.compute.conductor.moves.live import LiveResults
from kilonova.compute.models import BuildOutcome, Move, Selection
from kilonova.compute.moves import Leg
from kilonova.compute.states import Vm
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import decisions, steps
from kilonova.compute.store import migrations as store
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction, retried

ARRIVED = (store.DONE, store.COMPLETED, store.FINISHED, store.CONFIRMING, store.CONFIRMED)


class MoveResults:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.endings = deps, Endings(deps)
        self.live = LiveResults(deps, self.endings)

    @retried
    async def ended(self, ctx: RequestContext, outcome: BuildOutcome) -> bool:
        """False when the server is no longer on its way to this host, which must leave what it made."""
        async with self.deps.database.transaction() as tx:
            row = await servers.get(tx.connection, outcome.server_uuid, lock=True)
            record = await store.get(tx.connection, outcome.move or "", lock=True)
            theirs = record is not None and _theirs(record, outcome)  # by the leg that it names
            await steps.add(tx.connection, own_steps(ctx, outcome, theirs=theirs))
            if row is None or record is None or not theirs:
                return False
            move = store.decode(record)
            if record.status not in store.RUNNING or move.hops != outcome.attempt:  # reported before?
                return outcome.ok and (
                    _leg(outcome) is not Leg.ARRIVE or (record.status in ARRIVED and row.host == outcome.host)
                )
            if _leg(outcome) is not Leg(move.leg):
                return False
            if not under_way(row, record) or await store.overtaken(tx.connection, record):
                await self.endings.abandon(tx, ctx, row, record)
                return False
            await self._next(tx, ctx, row, record, outcome)
        await settle(self.deps, outcome.server_uuid, record)
        return True

    async def _next(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, outcome: BuildOutcome
    ) -> None:
        """What follows when a leg has ended well, and when not."""
        leg, move, kind = _leg(outcome), store.decode(record), kind_of(record)
        if outcome.ok and kind.live:
            await self.live.next(tx, ctx, row, record, outcome)
        elif not outcome.ok:
            await self._failed(tx, ctx, row, record, outcome)
        elif leg is Leg.ARRIVE:
            await (self._arrived_for_now if kind.leaves else self._arrived)(tx, ctx, row, record, outcome)
        elif leg is Leg.RETURN:
            await self.endings.returned(tx, row, record, move, outcome)
        else:
            following = Leg.ARRIVE if leg is Leg.LEAVE else Leg.RETURN
            await begin_leg(self.deps, tx, ctx, row, record, move, following)

    async def _arrived(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, outcome: BuildOutcome
    ) -> None:
        now, move = self.deps.now(), store.decode(record)
        values = await self.endings.there(tx, record, outcome, stopped=move.stopped)
        values["vm_state"] = Vm.STOPPED if move.stopped else Vm.ACTIVE
        await servers.swap(tx.connection, row.uuid, [servers.on_host(move.source)], values)
        move = msgspec.structs.replace(move, shared=outcome.shared)
        await store.change(tx.connection, record.uuid, store.RUNNING, closed(self.deps, move, store.DONE))
        await servers.finish_actions(
            tx.connection, [row.uuid], [action_of(record, move)], now, request_id=record.request_id
        )
        await tx.outbox(ComputeAPI, host=move.source).guests_departed(ctx)
        await tx.outbox(ConductorAPI).network_changed(ctx, [row.uuid])  # the new host read its ports some time ago

    async def _arrived_for_now(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, outcome: BuildOutcome
    ) -> None:
        """It is there, with its new flavor; its user has yet to say whether it stays."""
        move = msgspec.structs.replace(store.decode(record), shared=outcome.shared)
        values = await self.endings.there(tx, record, outcome, stopped=move.stopped)
        values |= {"vm_state": Vm.RESIZED, "flavor": msgspec.to_builtins(move.new_flavor)}
        await servers.swap(tx.connection, row.uuid, [], values)
        await self.endings.save_flavor(tx, row, move.new_flavor)
        await store.change(tx.connection, record.uuid, store.RUNNING, closed(self.deps, move, store.FINISHED))
        await servers.finish_actions(
            tx.connection, [row.uuid], [action_of(record, move)], self.deps.now(), request_id=record.request_id
        )
        await tx.outbox(ConductorAPI).network_changed(ctx, [row.uuid])
        self.deps.events.send(tx, ctx, "finish_resize.end", row, values, host=outcome.host)

    async def _failed(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, outcome: BuildOutcome
    ) -> None:
        """The next host, unless this one was asked for or enough were tried; then back to the old one, where there is a way."""
        move, kind, leg = store.decode(record), kind_of(record), _leg(outcome)
        why = reasons.of_attempt(outcome.fault)
        logger.info("move failed", server=row.uuid, host=outcome.host, leg=leg, reason=why)
        move.failed_hosts[outcome.host] = why
        move.failed_details[outcome.host] = reasons.details_of_attempt(outcome.fault)
        again = kind.legs[leg].given_up and outcome.reschedule and move.target is None and not move.cancelled
        if again and move.attempts < self.deps.options.max_attempts:
            values = {
                "status": store.ACCEPTED, "dest_compute": None, "dest_node": None, "updated_at": self.deps.now(),
                "document": store.encode(move),
            }  # fmt: skip
            await store.change(tx.connection, record.uuid, store.RUNNING, values)
            await tx.outbox(ConductorAPI).move_server(ctx, row.uuid, record.uuid)
            return
        message = reasons.summary("", move.failed_hosts, what=kind.what)
        details = reasons.full("", move.failed_hosts, move.failed_details, what=kind.what)
        if kind.live:
            await self.live.failed(tx, ctx, row, record, leg, message, details)
        elif leg in (Leg.LEAVE, Leg.ARRIVE) and kind.leaves:
            move = msgspec.structs.replace(move, message=message, details=details)
            await begin_leg(self.deps, tx, ctx, row, record, move, Leg.RETURN)
        else:
            await self.endings.error(tx, row, record, move, message, details, leg=leg)

    @retried
    async def give_up(
        self, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, reason: str, inner: str | None,
        selection: Selection | None = None,
    ) -> None:  # fmt: skip
        """No host could be found at all."""
        move, now, kind = store.decode(record), self.deps.now(), kind_of(record)
        tried, per_host = move.failed_hosts, move.failed_details
        message = reason if selection is not None else reasons.summary(reason, tried, what=kind.what)
        details = "\n".join(filter(None, [reasons.full(reason, tried, per_host, what=kind.what), inner]))
        async with self.deps.database.transaction() as tx:
            held = await servers.get(tx.connection, row.uuid, lock=True)
            if held is not None and under_way(held, record):
                await self._nowhere(tx, ctx, held, record, move, message, details)
                if selection is not None:
                    made = {row.uuid: selection.decision}
                    await decisions.add(tx.connection, made, {row.uuid: record.request_id}, now)
        await settle(self.deps, row.uuid, record)

    async def _nowhere(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, move: Move,
        message: str, details: str,
    ) -> None:  # fmt: skip
        """A server that has not left its host stays as it is; one that has left it returns."""
        if kind_of(record).live:
            await self.live.stays(tx, ctx, row, record, store.ERROR, message, details)
        elif not kind_of(record).leaves:
            await self.endings.error(tx, row, record, move, message, details)
        elif move.left:
            move = msgspec.structs.replace(move, message=message, details=details)
            await begin_leg(self.deps, tx, ctx, row, record, move, Leg.RETURN)
        else:
            await self.endings.stays(tx, row, record, move, message, details)

    @retried
    async def gone(self, ctx: RequestContext, record: MigrationRow) -> None:
        """The server was deleted, or an operator set its state."""
        async with self.deps.database.transaction() as tx:
            row = await servers.get(tx.connection, record.server_uuid, lock=True)
            await self.endings.abandon(tx, ctx, row, record)
        await settle(self.deps, record.server_uuid, record)


def _leg(outcome: BuildOutcome) -> Leg:
    """A host of an older release does not name it."""
    return Leg(outcome.leg or Leg.ARRIVE)


def _theirs(record: MigrationRow, outcome: BuildOutcome) -> bool:
    part = kind_of(record).legs[_leg(outcome)]
    host = record.source_compute if part.at_source else record.dest_compute
    return (record.server_uuid, host) == (outcome.server_uuid, outcome.host)
