"""What follows when a leg of a live migration has ended: the guest is sent, is its new host's, or stays where it is.

The server is the new host's as soon as its guest is no longer at the old one. Before that nothing that fails harms the server: it
stays as it is, and the new host removes what it had made ready (`left_at`)."""

from __future__ import annotations

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor.deps import Deps
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.moves.base import action_of, begin_leg, closed, zone_at
from kilonova.compute.conductor.moves.endings import Endings
from kilonova.compute.models import BuildOutcome
from kilonova.compute.moves import Leg
from kilonova.compute.payloads import Failure
from kilonova.compute.states import Vm
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import migrations as store
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction

CANCELLED = "The live migration was aborted."


class LiveResults:
    """Each method is part of a transaction that has locked the server's row and the migration's."""

    def __init__(self, deps: Deps, endings: Endings) -> None:
        self.deps, self.endings = deps, endings

    async def next(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, outcome: BuildOutcome
    ) -> None:
        """The leg has ended well."""
        move = store.decode(record)
        if Leg(move.leg) is Leg.ARRIVE:
            await self._arrived(tx, ctx, row, record, outcome)
        elif Leg(move.leg) is Leg.SEND:
            await self._sent(tx, ctx, row, record)
        elif move.cancelled:
            await self.stays(tx, ctx, row, record, store.CANCELLED, CANCELLED, "")
        else:
            move = msgspec.structs.replace(move, shared=outcome.shared, place=outcome.place)
            await begin_leg(self.deps, tx, ctx, row, record, move, Leg.SEND)

    async def _sent(self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow) -> None:
        """Nothing of the guest is left at the old host: from now on the server is the new one's."""
        host = record.dest_compute or ""
        values = {
            "host": host, "node": record.dest_node, "updated_at": self.deps.now(),
            "availability_zone": await zone_at(self.deps, tx.connection, host),
        }  # fmt: skip
        await servers.set_many(tx.connection, [row.uuid], values)
        await begin_leg(self.deps, tx, ctx, row, record, store.decode(record), Leg.ARRIVE)

    async def _arrived(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, outcome: BuildOutcome
    ) -> None:
        move = store.decode(record)
        values = await self.endings.there(tx, record, outcome, stopped=False)
        values["launched_at"] = row.launched_at  # it ran all the time
        await servers.set_many(tx.connection, [row.uuid], values)
        left = closed(self.deps, move, store.COMPLETED) | {"left_at": move.source}
        await store.change(tx.connection, record.uuid, store.RUNNING, left)
        await servers.finish_actions(
            tx.connection, [row.uuid], [action_of(record, move)], self.deps.now(), request_id=record.request_id
        )
        await tx.outbox(ComputeAPI, host=move.source).guests_departed(ctx)
        await tx.outbox(ConductorAPI).network_changed(ctx, [row.uuid])
        self.deps.events.send(tx, ctx, "live_migration.post.dest.end", row, values, host=outcome.host)

    async def failed(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, leg: Leg, message: str,
        details: str,
    ) -> None:  # fmt: skip
        if leg is Leg.ARRIVE:  # the guest is there, without its network or not to be reached
            values = {"vm_state": Vm.ERROR, "task_state": None, "updated_at": self.deps.now()}
            await servers.set_many(tx.connection, [row.uuid], values)
            await self._end(tx, ctx, row, record, store.ERROR, record.source_compute, message, details)
        elif store.decode(record).cancelled:
            await self.stays(tx, ctx, row, record, store.CANCELLED, CANCELLED, details)
        else:
            status = store.FAILED if leg is Leg.SEND else store.ERROR
            await self.stays(tx, ctx, row, record, status, message, details)

    async def stays(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, status: str, message: str,
        details: str,
    ) -> None:  # fmt: skip
        """The server is where it was, as it was."""
        values = {"task_state": None, "updated_at": self.deps.now()}
        await servers.set_many(tx.connection, [row.uuid], values)
        await self._end(tx, ctx, row, record, status, record.dest_compute or "", message, details)
        await tx.outbox(ConductorAPI).ports_stay(ctx, row.uuid)
        for phase in ("start", "end"):
            self.deps.events.send(
                tx, ctx, f"live_migration._rollback.{phase}", row, values, host=record.source_compute,
                failure=Failure(message) if phase == "end" and status != store.CANCELLED else None,
            )  # fmt: skip

    async def _end(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow, record: MigrationRow, status: str, left_at: str,
        message: str, details: str,
    ) -> None:  # fmt: skip
        """`left_at` is the host that has something of the server to remove, "" for none."""
        move = msgspec.structs.replace(store.decode(record), message=message)
        if status != store.CANCELLED:
            await self.endings.fault(tx, row, record, message, details)
        await self.endings.close(tx, row, record, move, status, failed=True, left_at=left_at)
        if left_at:
            await tx.outbox(ComputeAPI, host=left_at).guests_departed(ctx)
