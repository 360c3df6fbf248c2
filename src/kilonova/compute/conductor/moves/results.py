"""The second half of a move: the new host reports how it went. The server is there, another host is looked for,
or the move is given up, with every host's reason."""

from __future__ import annotations

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.deps import Deps, logger, own_steps
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.moves.base import closed, kind_of, settle, under_way
from kilonova.compute.models import BuildOutcome, Move, Selection
from kilonova.compute.scheduler.hosts import zone_of
from kilonova.compute.states import Vm
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import decisions, hosts, steps
from kilonova.compute.store import migrations as store
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction, retried

SHUTDOWN = 4


class MoveResults:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    @retried
    async def ended(self, ctx: RequestContext, outcome: BuildOutcome) -> bool:
        """False when the server is no longer on its way to this host, which must leave what it made."""
        async with self.deps.database.transaction() as tx:
            row = await servers.get(tx.connection, outcome.server_uuid, lock=True)
            record = await store.get(tx.connection, outcome.move or "", lock=True)
            theirs = record is not None and (record.server_uuid, record.dest_compute) == (
                outcome.server_uuid,
                outcome.host,
            )
            await steps.add(tx.connection, own_steps(ctx, outcome, theirs=theirs))
            if row is None or record is None or not theirs:
                return False
            move = store.decode(record)
            if record.status != store.RUNNING or move.attempts != outcome.attempt:  # reported before?
                return outcome.ok and record.status in (store.DONE, store.COMPLETED) and row.host == outcome.host
            if not under_way(row, record):
                await store.change(tx.connection, record.uuid, [store.RUNNING], closed(self.deps, move, store.FAILED))
                return False
            if outcome.ok:
                await self._arrived(tx, ctx, row, record, outcome)
            else:
                await self._failed(tx, ctx, row, record, outcome)
        await settle(self.deps, outcome.server_uuid, record)
        return True

    async def _arrived(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, outcome: BuildOutcome
    ) -> None:
        now, move = self.deps.now(), store.decode(record)
        zones = [row.metadata for row in await hosts.aggregate_metadata(tx.connection, outcome.host)]
        values = {
            "host": outcome.host, "node": record.dest_node, "task_state": None, "launched_at": now, "updated_at": now,
            "vm_state": Vm.STOPPED if move.stopped else Vm.ACTIVE,
            "power_state": SHUTDOWN if move.stopped else outcome.power_state,
            "availability_zone": zone_of(zones, self.deps.options.default_availability_zone),
            "network_info": msgspec.to_builtins(outcome.network_info),
        }  # fmt: skip
        await servers.swap(tx.connection, row.uuid, [servers.on_host(move.source)], values)
        move = msgspec.structs.replace(move, shared=outcome.shared)
        await store.change(tx.connection, record.uuid, [store.RUNNING], closed(self.deps, move, store.DONE))
        await servers.finish_actions(
            tx.connection, [row.uuid], [kind_of(record).action], now, request_id=record.request_id
        )
        await tx.outbox(ComputeAPI, host=move.source).guests_departed(ctx)
        await tx.outbox(ConductorAPI).network_changed(ctx, [row.uuid])  # the new host read its ports some time ago

    async def _failed(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, outcome: BuildOutcome
    ) -> None:
        """The next host, unless this one was asked for or enough were tried."""
        move = store.decode(record)
        move.failed_hosts[outcome.host] = reasons.of_attempt(outcome.fault)
        move.failed_details[outcome.host] = reasons.details_of_attempt(outcome.fault)
        logger.info("move failed", server=row.uuid, host=outcome.host, reason=reasons.of_attempt(outcome.fault))
        again = outcome.reschedule and move.target is None
        if again and move.attempts < self.deps.options.max_attempts:
            values = {
                "status": store.ACCEPTED, "dest_compute": None, "dest_node": None, "updated_at": self.deps.now(),
                "document": store.encode(move),
            }  # fmt: skip
            await store.change(tx.connection, record.uuid, [store.RUNNING], values)
            await tx.outbox(ConductorAPI).move_server(ctx, row.uuid, record.uuid)
            return
        message = reasons.summary("", move.failed_hosts, what=kind_of(record).what)
        details = reasons.full("", move.failed_hosts, move.failed_details, what=kind_of(record).what)
        await self._error(tx, row, record, move, message, details)

    @retried
    async def give_up(
        self,
        row: SpecifiedRow,
        record: MigrationRow,
        reason: str,
        inner: str | None,
        selection: Selection | None = None,
    ) -> None:
        """No host could be found at all."""
        move, now = store.decode(record), self.deps.now()
        tried, per_host = move.failed_hosts, move.failed_details
        message = reason if selection is not None else reasons.summary(reason, tried, what=kind_of(record).what)
        details = "\n".join(filter(None, [reasons.full(reason, tried, per_host, what=kind_of(record).what), inner]))
        async with self.deps.database.transaction() as tx:
            held = await servers.get(tx.connection, row.uuid, lock=True)
            if held is not None and under_way(held, record):
                await self._error(tx, held, record, move, message, details)
                if selection is not None:
                    made = {row.uuid: selection.decision}
                    await decisions.add(tx.connection, made, {row.uuid: record.request_id}, now)
        await settle(self.deps, row.uuid, record)

    async def _error(
        self, tx: Transaction, row: SpecifiedRow, record: MigrationRow, move: Move, message: str, details: str
    ) -> None:
        """The server's row and claim stay with its failed host, so that it can be evacuated again."""
        now = self.deps.now()
        values = {"vm_state": Vm.ERROR, "task_state": None, "updated_at": now}
        await servers.set_many(tx.connection, [row.uuid], values)
        fault = {
            "server_uuid": row.uuid, "code": 500, "message": reasons.short(message), "details": details,
            "host": record.dest_compute, "created_at": now,
        }  # fmt: skip
        await servers.add_faults(tx.connection, [fault])
        await store.change(tx.connection, record.uuid, store.OPEN, closed(self.deps, move, store.ERROR))
        await servers.finish_actions(
            tx.connection, [row.uuid], [kind_of(record).action], now, request_id=record.request_id, message="Error"
        )

    @retried
    async def gone(self, record: MigrationRow) -> None:
        """The server was deleted, or an operator set its state."""
        async with self.deps.database.transaction() as tx:
            values = closed(self.deps, store.decode(record), store.FAILED)
            await store.change(tx.connection, record.uuid, store.OPEN, values)
        await settle(self.deps, record.server_uuid, record)
