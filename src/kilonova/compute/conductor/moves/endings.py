"""How a move ends: confirmed, back at the old host, given up, or cut off because the server was deleted. Each is part of a
transaction that has locked the server's row."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.deps import Deps
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.moves.base import action_of, closed, kind_of, under_way, zone_at
from kilonova.compute.models import BuildOutcome, Flavor, Move
from kilonova.compute.moves import Leg
from kilonova.compute.payloads import Failure
from kilonova.compute.states import Task, Vm
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import migrations as store
from kilonova.compute.store import request_specs
from kilonova.compute.store.conductor_servers import SpecifiedRow
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction

SHUTDOWN = 4


def counted(flavor: Flavor | None) -> dict[str, Any]:
    """The columns that quotas count."""
    return {"vcpus": flavor.vcpus, "memory_mb": flavor.memory_mb} if flavor is not None else {}


class Endings:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def there(
        self, tx: Transaction, record: MigrationRow, outcome: BuildOutcome, *, stopped: bool
    ) -> dict[str, Any]:
        """What the row says of its new host."""
        now = self.deps.now()
        return {
            "host": outcome.host, "node": record.dest_node, "task_state": None, "launched_at": now, "updated_at": now,
            "power_state": SHUTDOWN if stopped else outcome.power_state,
            "availability_zone": await zone_at(self.deps, tx.connection, outcome.host),
            "network_info": msgspec.to_builtins(outcome.network_info),
        }  # fmt: skip

    async def save_flavor(self, tx: Transaction, row: SpecifiedRow, flavor: Flavor | None) -> None:
        if flavor is not None:
            spec = msgspec.structs.replace(request_specs.of_living(row.spec), flavor=flavor)
            await servers.save_specs(tx.connection, {row.uuid: spec})

    async def returned(
        self, tx: Transaction, row: SpecifiedRow, record: MigrationRow, move: Move, outcome: BuildOutcome
    ) -> None:
        """The server is on its old host, as it was: its user wanted it so, or the move has failed."""
        now, failed = self.deps.now(), move.message is not None
        values: dict[str, Any] = {
            "host": move.source, "node": record.source_node, "task_state": None, "updated_at": now, "vm_state": move.vm_state,
            "power_state": SHUTDOWN if move.stopped else outcome.power_state,
            "availability_zone": await zone_at(self.deps, tx.connection, move.source),
            "network_info": msgspec.to_builtins(outcome.network_info), "flavor": msgspec.to_builtins(move.old_flavor),
        }  # fmt: skip
        await servers.swap(tx.connection, row.uuid, [], values | counted(move.old_flavor))
        await self.save_flavor(tx, row, move.old_flavor)
        if failed:
            await self.fault(tx, row, record, move.message or "", move.details)
        status = store.ERROR if failed else store.REVERTED
        await self.close(tx, row, record, move, status, failed=failed)
        await tx.outbox(ConductorAPI).network_changed(_system(record), [row.uuid])
        self.deps.events.send(
            tx, _system(record), "resize.error" if failed else "resize.revert.end", row, values, host=move.source,
            failure=Failure(move.message or "") if failed else None,
        )  # fmt: skip

    async def stays(
        self, tx: Transaction, row: SpecifiedRow, record: MigrationRow, move: Move, message: str, details: str
    ) -> None:
        """No host was found before anything was done to the server."""
        values = {"task_state": None, "updated_at": self.deps.now()} | counted(move.old_flavor)
        await servers.set_many(tx.connection, [row.uuid], values)
        await self.fault(tx, row, record, message, details)
        await self.close(tx, row, record, move, store.ERROR, failed=True)
        self.deps.events.send(
            tx, _system(record), "resize.error", row, values, host=move.source, failure=Failure(message)
        )

    async def error(
        self, tx: Transaction, row: SpecifiedRow, record: MigrationRow, move: Move, message: str, details: str,
        *, leg: Leg = Leg.ARRIVE,
    ) -> None:  # fmt: skip
        """The server stays where its disks are, with the claim there: it can be evacuated (again), or rebooted. One that its new
        host could not give up is that host's; what is set aside of it is kept until it works or is deleted."""
        values: dict[str, Any] = {"vm_state": Vm.ERROR, "task_state": None, "updated_at": self.deps.now()}
        if leg is Leg.RETURN:
            values |= {"host": move.source, "node": record.source_node, "flavor": msgspec.to_builtins(move.old_flavor)}
            values |= counted(move.old_flavor)
            await self.save_flavor(tx, row, move.old_flavor)
        await servers.set_many(tx.connection, [row.uuid], values)
        await self.fault(tx, row, record, message, details)
        status = store.FINISHED if leg is Leg.WITHDRAW else store.ERROR
        await self.close(tx, row, record, move, status, failed=True)

    async def abandon(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow | None, record: MigrationRow
    ) -> None:
        """The server was deleted, or an operator set its state. What is set aside of a deleted one on its old host goes, as if
        the move had been confirmed; that of others stays, as nothing may be lost."""
        move, leaves = store.decode(record), kind_of(record).leaves
        if kind_of(record).live:
            await self._cut_off(tx, ctx, row, record, move)
            return
        if (
            leaves and row is not None and not row.deleted and not under_way(row, record)
        ):  # quotas count the flavor that it has
            has = counted(msgspec.convert(row.flavor, Flavor))
            await servers.set_many(tx.connection, [row.uuid], has)
        if leaves and (
            row is None or row.deleted or row.task_state == Task.DELETING or record.status == store.FINISHED
        ):
            await store.change(tx.connection, record.uuid, store.HOLDING, closed(self.deps, move, store.CONFIRMING))
            await tx.outbox(ComputeAPI, host=record.source_compute).guests_departed(ctx)
        else:
            await store.change(tx.connection, record.uuid, store.OPEN, closed(self.deps, move, store.FAILED))

    async def _cut_off(
        self, tx: Transaction, ctx: RequestContext, row: SpecifiedRow | None, record: MigrationRow, move: Move
    ) -> None:
        """Of two hosts that may have something of a guest, the one that the server is not on removes it."""
        there = row is not None and row.host is not None and row.host == record.dest_compute
        other = record.source_compute if there else record.dest_compute or ""
        values = closed(self.deps, move, store.FAILED) | {"left_at": other}
        if await store.change(tx.connection, record.uuid, store.OPEN, values) and other:
            await tx.outbox(ComputeAPI, host=other).guests_departed(ctx)
        if row is not None and not row.deleted and not there:
            await tx.outbox(ConductorAPI).ports_stay(ctx, row.uuid)

    async def fault(self, tx: Transaction, row: SpecifiedRow, record: MigrationRow, message: str, details: str) -> None:
        fault = {
            "server_uuid": row.uuid, "code": 500, "message": reasons.short(message), "details": details,
            "host": record.dest_compute, "created_at": self.deps.now(),
        }  # fmt: skip
        await servers.add_faults(tx.connection, [fault])

    async def close(
        self, tx: Transaction, row: SpecifiedRow, record: MigrationRow, move: Move, status: str, *, failed: bool,
        left_at: str = "",
    ) -> None:  # fmt: skip
        values = closed(self.deps, move, status) | {"left_at": left_at}
        await store.change(tx.connection, record.uuid, store.OPEN, values)
        await servers.finish_actions(
            tx.connection, [row.uuid], [action_of(record, move)], self.deps.now(), request_id=record.request_id,
            message="Error" if failed else None,
        )  # fmt: skip


def _system(record: MigrationRow) -> RequestContext:
    return RequestContext(request_id=record.request_id, user_id=record.user_id, project_id=record.project_id)
