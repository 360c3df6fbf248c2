"""Evacuation: from the recorded wish to a host that has the server, or to ERROR with every host's reason.

The server's row keeps its dead host, and placement the claim there, until the new host has told that the server is up:
then both change at once. What the dead host holds it removes itself when it returns (`departed_servers`)."""

from __future__ import annotations

import datetime as dt

import msgspec

from kilonova.compute import models
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.conductor import reasons
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.network_info import NetworkInfo
from kilonova.compute.conductor.parts import Parts, logger, on_behalf, own_steps
from kilonova.compute.conductor.selecting import next_alternate, select
from kilonova.compute.models import BuildOutcome, Departed, Evacuation, RequestSpec, Selection
from kilonova.compute.scheduler.hosts import zone_of
from kilonova.compute.states import REBUILD_TASKS, Vm
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import decisions, hosts, request_specs, rows, steps
from kilonova.compute.store import migrations as store
from kilonova.core import errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Row, Transaction, retried
from kilonova.core.faults import InjectedFault

ACTION, WHAT = "evacuate", "Evacuation"
SHUTDOWN = 4


class Evacuations:
    def __init__(self, parts: Parts, interfaces: NetworkInfo) -> None:
        self.parts, self.interfaces = parts, interfaces
        self.in_flight: set[str] = set()

    # ---- a host is looked for

    async def begin(self, ctx: RequestContext, server_id: str, migration: str) -> None:
        """Look for a host and hand the server over. Repeating it is harmless."""
        if migration in self.in_flight:
            return
        self.in_flight.add(migration)
        try:
            async with self.parts.database.reading() as connection:
                record = await store.get(connection, migration)
                row = await servers.get(connection, server_id)
            if record is None or record.status != store.ACCEPTED:
                return
            if row is None or row.spec is None or not _under_way(row):
                await self._gone(record)
                return
            await self._place(ctx, row, record)
        finally:
            self.in_flight.discard(migration)

    async def _place(self, ctx: RequestContext, row: Row, record: Row) -> None:
        began, evacuation = self.parts.now(), store.decode(record)
        wishes = _wishes(request_specs.decode(row.spec), evacuation)
        try:
            await self.parts.faults.point("schedule", "before")
            selection = await next_alternate(self.parts, ctx, row, wishes) if wishes.alternates else None
            if selection is None:
                (selection,) = await select(self.parts, ctx, [row], wishes)
            await self.parts.faults.point("dispatch", "before")
        except (errors.KilonovaError, InjectedFault) as error:
            reason, inner = reasons.of_scheduling(error)
            await self._give_up(row, record, f"Scheduling failed: {reason}", inner)
            return
        if selection.host is None:
            message, details = reasons.no_host(
                evacuation.failed_hosts, evacuation.failed_details, selection.decision, what=WHAT
            )
            await self._give_up(row, record, message, details, selection)
            return
        await self.interfaces.before_power_on(ctx, row.uuid)
        if not await self._dispatch(ctx, row, record, selection, began):
            await self.parts.settle_claims([row.uuid])

    @retried
    async def _dispatch(
        self, ctx: RequestContext, row: Row, record: Row, selection: Selection, began: dt.datetime
    ) -> bool:
        """The host, its decision, steps and message in one transaction; False when somebody was faster."""
        parts, now = self.parts, self.parts.now()
        evacuation, spec = store.decode(record), request_specs.decode(row.spec)
        evacuation = msgspec.structs.replace(
            evacuation, attempts=evacuation.attempts + 1, alternates=selection.alternates
        )
        values = {
            "status": store.RUNNING, "dest_compute": selection.host, "dest_node": selection.node,
            "document": store.encode(evacuation), "updated_at": now,
        }  # fmt: skip
        async with parts.database.transaction() as tx:
            held = await servers.get(tx.connection, row.uuid, lock=True)
            if held is None or not _under_way(held) or not await store.change(
                tx.connection, record.uuid, [store.ACCEPTED], values
            ):  # fmt: skip
                return False
            server = msgspec.structs.replace(rows.server(held), availability_zone=selection.availability_zone)
            build = models.ServerBuild(
                server=server, spec=msgspec.structs.replace(spec, admin_pass=evacuation.admin_pass),
                request_id=record.request_id, attempt=evacuation.attempts, action=ACTION, evacuation=evacuation,
            )  # fmt: skip
            build = parts.grants.granted(build, selection.host)
            ref = models.ServerRef(build=build, request_id=record.request_id, action=ACTION)
            await tx.outbox(ComputeAPI, host=selection.host).run_action(ctx, ref)
            made = {row.uuid: selection.decision}
            await decisions.add(tx.connection, made, {row.uuid: record.request_id}, now)
            placing = parts.placing(
                row, record.request_id, selection, began, now, attempt=evacuation.attempts, action=ACTION
            )
            await steps.add(tx.connection, placing)
        return True

    # ---- a host tells

    @retried
    async def ended(self, ctx: RequestContext, outcome: BuildOutcome) -> bool:
        """False when the server is no longer on its way to this host, which must leave what it made."""
        async with self.parts.database.transaction() as tx:
            row = await servers.get(tx.connection, outcome.server_uuid, lock=True)
            record = await store.get(tx.connection, outcome.evacuation or "", lock=True)
            theirs = record is not None and (record.server_uuid, record.dest_compute) == (
                outcome.server_uuid,
                outcome.host,
            )
            await steps.add(tx.connection, own_steps(ctx, outcome, theirs=theirs))
            if row is None or record is None or not theirs:
                return False
            evacuation = store.decode(record)
            if record.status != store.RUNNING or evacuation.attempts != outcome.attempt:  # told before?
                return outcome.ok and record.status in (store.DONE, store.COMPLETED) and row.host == outcome.host
            if not _under_way(row):
                await store.change(tx.connection, record.uuid, [store.RUNNING], self._closed(evacuation, store.FAILED))
                return False
            if outcome.ok:
                await self._arrived(tx, ctx, row, record, outcome)
            else:
                await self._failed(tx, ctx, row, record, outcome)
        await self._settle(outcome.server_uuid)
        return True

    async def _settle(self, uuid: str) -> None:
        """The claim is made what the row says, unless another host is being looked for."""
        async with self.parts.database.reading() as connection:
            row = await servers.get(connection, uuid)
        if row is not None and not _under_way(row):
            await self.parts.settle_claims([uuid])

    async def _arrived(
        self, tx: Transaction, ctx: RequestContext, row: Row, record: Row, outcome: BuildOutcome
    ) -> None:
        now, evacuation = self.parts.now(), store.decode(record)
        zones = [row.metadata for row in await hosts.aggregate_metadata(tx.connection, outcome.host)]
        values = {
            "host": outcome.host, "node": record.dest_node, "task_state": None, "launched_at": now, "updated_at": now,
            "vm_state": Vm.STOPPED if evacuation.stopped else Vm.ACTIVE,
            "power_state": SHUTDOWN if evacuation.stopped else outcome.power_state,
            "availability_zone": zone_of(zones, self.parts.options.default_availability_zone),
            "network_info": msgspec.to_builtins(outcome.network_info),
        }  # fmt: skip
        await servers.swap(tx.connection, row.uuid, [servers.on_host(evacuation.source)], values)
        evacuation = msgspec.structs.replace(evacuation, shared=outcome.shared)
        await store.change(tx.connection, record.uuid, [store.RUNNING], self._closed(evacuation, store.DONE))
        await servers.finish_actions(tx.connection, [row.uuid], [ACTION], now, request_id=record.request_id)
        await tx.outbox(ComputeAPI, host=evacuation.source).guests_departed(ctx)
        await tx.outbox(ConductorAPI).network_changed(ctx, [row.uuid])  # the new host read its ports some time ago

    async def _failed(self, tx: Transaction, ctx: RequestContext, row: Row, record: Row, outcome: BuildOutcome) -> None:
        """The next host, unless this one was asked for or enough were tried."""
        evacuation = store.decode(record)
        evacuation.failed_hosts[outcome.host] = reasons.of_attempt(outcome.fault)
        evacuation.failed_details[outcome.host] = reasons.details_of_attempt(outcome.fault)
        logger.info("evacuation failed", server=row.uuid, host=outcome.host, reason=reasons.of_attempt(outcome.fault))
        again = outcome.reschedule and evacuation.target is None
        if again and evacuation.attempts < self.parts.options.max_attempts:
            values = {
                "status": store.ACCEPTED, "dest_compute": None, "dest_node": None, "updated_at": self.parts.now(),
                "document": store.encode(evacuation),
            }  # fmt: skip
            await store.change(tx.connection, record.uuid, [store.RUNNING], values)
            await tx.outbox(ConductorAPI).evacuate_server(ctx, row.uuid, record.uuid)
            return
        message = reasons.summary("", evacuation.failed_hosts, what=WHAT)
        details = reasons.full("", evacuation.failed_hosts, evacuation.failed_details, what=WHAT)
        await self._error(tx, row, record, evacuation, message, details)

    # ---- it does not work

    @retried
    async def _give_up(
        self, row: Row, record: Row, reason: str, inner: str | None, selection: Selection | None = None
    ) -> None:
        """No host could be found at all."""
        evacuation, now = store.decode(record), self.parts.now()
        tried, told = evacuation.failed_hosts, evacuation.failed_details
        message = reason if selection is not None else reasons.summary(reason, tried, what=WHAT)
        details = "\n".join(filter(None, [reasons.full(reason, tried, told, what=WHAT), inner]))
        async with self.parts.database.transaction() as tx:
            held = await servers.get(tx.connection, row.uuid, lock=True)
            if held is not None and _under_way(held):
                await self._error(tx, held, record, evacuation, message, details)
                if selection is not None:
                    made = {row.uuid: selection.decision}
                    await decisions.add(tx.connection, made, {row.uuid: record.request_id}, now)
        await self._settle(row.uuid)

    async def _error(
        self, tx: Transaction, row: Row, record: Row, evacuation: Evacuation, message: str, details: str
    ) -> None:
        """The server stays on its dead host's name and claim, so that it can be evacuated again."""
        now = self.parts.now()
        values = {"vm_state": Vm.ERROR, "task_state": None, "updated_at": now}
        await servers.set_many(tx.connection, [row.uuid], values)
        fault = {
            "server_uuid": row.uuid, "code": 500, "message": reasons.short(message), "details": details,
            "host": record.dest_compute, "created_at": now,
        }  # fmt: skip
        await servers.add_faults(tx.connection, [fault])
        await store.change(tx.connection, record.uuid, store.OPEN, self._closed(evacuation, store.ERROR))
        await servers.finish_actions(
            tx.connection, [row.uuid], [ACTION], now, request_id=record.request_id, message="Error"
        )

    @retried
    async def _gone(self, record: Row) -> None:
        """The server was deleted, or an operator set its state."""
        async with self.parts.database.transaction() as tx:
            closed = self._closed(store.decode(record), store.FAILED)
            await store.change(tx.connection, record.uuid, store.OPEN, closed)
        await self._settle(record.server_uuid)

    def _closed(self, evacuation: Evacuation, status: str) -> dict[str, object]:
        document = store.encode(msgspec.structs.replace(evacuation, admin_pass=None))
        return {"status": status, "document": document, "updated_at": self.parts.now()}

    # ---- looked at now and then

    async def check(self, grace: float) -> None:
        """Evacuations that no message moves any more, and those whose new host has died too."""
        async with self.parts.database.reading() as connection:
            open_ones = await store.open_ones(connection)
            dests = sorted({record.dest_compute for record in open_ones if record.status == store.RUNNING})
            alive = await self.parts.alive(connection, dests)
        for record in open_ones:
            async with self.parts.database.reading() as connection:
                row = await servers.get(connection, record.server_uuid)
            ctx = on_behalf(record.request_id, record.project_id or "", record.user_id or "")
            if row is None or not _under_way(row):
                await self._gone(record)
            elif record.status == store.RUNNING:
                await self._check_running(ctx, record, alive)
            elif record.updated_at < self.parts.ago(grace):
                await self.begin(ctx, record.server_uuid, record.uuid)

    async def _check_running(self, ctx: RequestContext, record: Row, alive: set[str]) -> None:
        late = record.updated_at < self.parts.ago(self.parts.options.build_timeout)
        if not late and record.dest_compute in alive:
            return
        reason = "nothing was heard for too long" if late else "the compute host is down"
        outcome = BuildOutcome(
            server_uuid=record.server_uuid, request_id=record.request_id, attempt=store.decode(record).attempts,
            host=record.dest_compute, ok=False, fault=models.Fault(step="dispatch", reason=reason),
            evacuation=record.uuid,
        )  # fmt: skip
        await self.ended(ctx, outcome)

    # ---- the dead host returns

    async def departed(self, host: str) -> list[Departed]:
        """What a host is to forget. A server that is there again by another evacuation is its own."""
        async with self.parts.database.reading() as connection:
            found = await store.left_behind(connection, host)
        back = [record.uuid for record in found if record.at == host]
        for migration in back:
            await self.departure_done(migration)
        return [
            Departed(
                migration=record.uuid, server_uuid=record.server_uuid, shared=bool(store.decode(record).shared),
                port_ids=[vif.port_id for vif in rows.vifs(record.network_info)],
            )
            for record in found
            if record.uuid not in back
        ]  # fmt: skip

    @retried
    async def departure_done(self, migration: str, *, by: str | None = None) -> None:
        """`by` is the host that says so, where the bus has proven it: no other than the one that the server left."""
        values = {"status": store.COMPLETED, "updated_at": self.parts.now()}
        async with self.parts.database.transaction() as tx:
            await store.change(tx.connection, migration, [store.DONE], values, source=by)


def _under_way(row: Row) -> bool:
    return not row.deleted and row.task_state in REBUILD_TASKS


def _wishes(spec: RequestSpec, evacuation: Evacuation) -> RequestSpec:
    """What the scheduler is asked: any host but the dead one and those that failed; the target by force, or through the
    filters. That the server was once forced to its host does not count."""
    return msgspec.structs.replace(
        spec,
        force_host=evacuation.target if evacuation.force else None,
        force_node=None,
        requested_host=None if evacuation.force else evacuation.target,
        ignore_hosts=[evacuation.source],
        failed_hosts=evacuation.failed_hosts,
        failed_details={},
        alternates=evacuation.alternates,
        keep_claim_on=evacuation.source,
    )
