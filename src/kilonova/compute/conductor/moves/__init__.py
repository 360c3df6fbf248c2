"""Moves: how a server gets another host. Choose a host, claim on it, hand the server over leg by leg, await each report, then
go on, look for the next host or go back, and release what is no longer held. One workflow for every kind (`compute/moves.py`).

The server's row keeps its old host, and placement the claim there (the server's own, or in the migration's name), until the new
host has reported that the server is up. What the old host still holds it removes itself (`departed_servers`)."""

from __future__ import annotations

import hmac

from kilonova.compute import models
from kilonova.compute.conductor.deps import Deps, on_behalf
from kilonova.compute.conductor.moves.base import kind_of, under_way
from kilonova.compute.conductor.moves.confirmation import Confirmation
from kilonova.compute.conductor.moves.placement import MovePlacement
from kilonova.compute.conductor.moves.results import MoveResults
from kilonova.compute.conductor.network_info import NetworkInfo
from kilonova.compute.models import BuildOutcome, Departed, Progress, Wishes
from kilonova.compute.moves import Leg
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import hosts, records
from kilonova.compute.store import migrations as store
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core.context import RequestContext
from kilonova.core.db import retried


class Moves:
    def __init__(self, deps: Deps, interfaces: NetworkInfo) -> None:
        self.deps = deps
        self.results = MoveResults(deps)
        self.placement = MovePlacement(deps, interfaces, self.results)
        self.confirmation = Confirmation(deps, self.results)
        self.begin, self.ended = self.placement.begin, self.results.ended

    # ---- looked at now and then

    async def check(self, grace: float) -> None:
        """Moves that no message moves any more, those whose new host has died too, and those that wait for their user's word for
        too long."""
        async with self.deps.database.reading() as connection:
            found = await store.open_ones(connection, statuses=store.HOLDING)
            rows = await servers.get_many(connection, {record.server_uuid for record in found}) if found else {}
            running = [record for record in found if record.status in store.RUNNING]
            dests = sorted({record.dest_compute for record in running if record.dest_compute is not None})
            alive = await self.deps.alive(connection, dests)
        for record in found:
            row = rows.get(record.server_uuid)
            ctx = on_behalf(record.request_id, record.project_id or "", record.user_id or "")
            if record.status == store.FINISHED:
                await self.confirmation.check(ctx, row, record)
            elif row is None or not under_way(row, record):
                await self.results.gone(ctx, record)
            elif record.status in store.RUNNING:
                await self._check_running(ctx, record, alive)
            elif record.updated_at < self.deps.ago(grace):
                await self.placement.begin(ctx, record.server_uuid, record.uuid)

    async def _check_running(self, ctx: RequestContext, record: MigrationRow, alive: set[str]) -> None:
        """A new host that is down is given up; one that has the disks is waited for."""
        move, kind = store.decode(record), kind_of(record)
        leg, late = Leg(move.leg), record.updated_at < self.deps.ago(self.deps.options.build_timeout)
        lives = record.dest_compute in alive
        if not kind.legs[leg].given_up or (lives and not (late and kind.hurried)):
            return
        reason = "the compute host has not reported for too long" if late else "the compute host is down"
        outcome = BuildOutcome(
            server_uuid=record.server_uuid, request_id=record.request_id, attempt=move.hops,
            host=record.dest_compute or "", ok=False, fault=models.Fault(step="dispatch", reason=reason),
            move=record.uuid, leg=leg,
        )  # fmt: skip
        await self.results.ended(ctx, outcome)

    # ---- the old host is there again

    async def departed(self, host: str) -> list[Departed]:
        """What a host is to forget. A server that is there again by another move is its own, but for what was set aside of it."""
        async with self.deps.database.reading() as connection:
            found = await store.left_behind(connection, host)
        back = [record.uuid for record in found if record.at == host and not kind_of(record).leaves]
        for migration in back:
            await self.departure_done(migration)
        return [
            Departed(
                migration=record.uuid, server_uuid=record.server_uuid, shared=bool(store.decode(record).shared),
                port_ids=[vif.port_id for vif in records.vifs(record.network_info)],
                aside=kind_of(record).leaves, here=record.at == host,
            )
            for record in found
            if record.uuid not in back
        ]  # fmt: skip

    @retried
    async def departure_done(self, migration: str, *, by: str | None = None) -> None:
        """`by` is the host that reports so, where the bus has authenticated it: only the one that the server left may do so."""
        for before, after in store.LEFT.items():
            values = {"status": after, "updated_at": self.deps.now()}
            async with self.deps.database.transaction() as tx:
                done = await store.change(tx.connection, migration, [before], values, source=by)
            if done and after == store.CONFIRMED:
                await self.deps.placement.release(migration)
        async with self.deps.database.transaction() as tx:
            await store.removed(tx.connection, migration, by)

    # ---- guests on their way

    @retried
    async def progress(self, host: str, migration: str, progress: Progress) -> Wishes:
        """How far a guest is that this host sends, and what operators want of it by now."""
        async with self.deps.database.transaction() as tx:
            record = await store.get(tx.connection, migration)
            if record is None or record.status not in store.RUNNING or record.source_compute != host:
                return Wishes(wanted=False)
            await store.save_progress(tx.connection, migration, progress, self.deps.now())
        move = store.decode(record)
        return Wishes(cancelled=move.cancelled, hurried=move.hurried)

    # ---- disks on their way

    async def disks_at(self, host: str, migration: str) -> str:
        """Where the old host serves the disks now; "" where it does not, or the one that asks is not to have them."""
        async with self.deps.database.reading() as connection:
            record = await store.get(connection, migration)
            if record is None or record.status not in store.RUNNING or record.dest_compute != host:
                return ""
            return (await hosts.facts(connection, record.source_compute)).transfer_url

    async def disks_asked_for(self, host: str, migration: str, secret: str) -> str | None:
        """The server whose disks a host is to serve: a move from it is under way, and the one that asks knows its secret."""
        async with self.deps.database.reading() as connection:
            record = await store.get(connection, migration)
        if record is None or record.status not in store.RUNNING or record.source_compute != host:
            return None
        held = store.decode(record).secret
        return record.server_uuid if held and hmac.compare_digest(held.encode(), secret.encode()) else None
