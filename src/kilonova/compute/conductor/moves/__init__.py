"""Moves: how a server gets another host. Choose a host, claim on it, hand the server over, await its report, then confirm or
look for the next, and release what is no longer held. One workflow for every kind (`compute/moves.py`).

The server's row keeps its old host, and placement the claim there, until the new host has reported that the server is up: then
both change at once. What the old host still holds it removes itself (`departed_servers`)."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.conductor.deps import Deps, on_behalf
from kilonova.compute.conductor.moves.base import under_way
from kilonova.compute.conductor.moves.placement import MovePlacement
from kilonova.compute.conductor.moves.results import MoveResults
from kilonova.compute.conductor.network_info import NetworkInfo
from kilonova.compute.models import BuildOutcome, Departed
from kilonova.compute.store import conductor_servers as servers
from kilonova.compute.store import migrations as store
from kilonova.compute.store import records
from kilonova.compute.store.migrations import MigrationRow
from kilonova.core.context import RequestContext
from kilonova.core.db import retried


class Moves:
    def __init__(self, deps: Deps, interfaces: NetworkInfo) -> None:
        self.deps = deps
        self.results = MoveResults(deps)
        self.placement = MovePlacement(deps, interfaces, self.results)
        self.begin, self.ended = self.placement.begin, self.results.ended

    # ---- looked at now and then

    async def check(self, grace: float) -> None:
        """Moves that no message moves any more, and those whose new host has died too."""
        async with self.deps.database.reading() as connection:
            open_ones = await store.open_ones(connection)
            running = [record for record in open_ones if record.status == store.RUNNING]
            dests = sorted({record.dest_compute for record in running if record.dest_compute is not None})
            alive = await self.deps.alive(connection, dests)
        for record in open_ones:
            async with self.deps.database.reading() as connection:
                row = await servers.get(connection, record.server_uuid)
            ctx = on_behalf(record.request_id, record.project_id or "", record.user_id or "")
            if row is None or not under_way(row, record):
                await self.results.gone(record)
            elif record.status == store.RUNNING:
                await self._check_running(ctx, record, alive)
            elif record.updated_at < self.deps.ago(grace):
                await self.placement.begin(ctx, record.server_uuid, record.uuid)

    async def _check_running(self, ctx: RequestContext, record: MigrationRow, alive: set[str]) -> None:
        late = record.updated_at < self.deps.ago(self.deps.options.build_timeout)
        if not late and record.dest_compute in alive:
            return
        reason = "the compute host has not reported for too long" if late else "the compute host is down"
        outcome = BuildOutcome(
            server_uuid=record.server_uuid, request_id=record.request_id, attempt=store.decode(record).attempts,
            host=record.dest_compute or "", ok=False, fault=models.Fault(step="dispatch", reason=reason),
            move=record.uuid,
        )  # fmt: skip
        await self.results.ended(ctx, outcome)

    # ---- the old host is there again

    async def departed(self, host: str) -> list[Departed]:
        """What a host is to forget. A server that is there again by another move is its own."""
        async with self.deps.database.reading() as connection:
            found = await store.left_behind(connection, host)
        back = [record.uuid for record in found if record.at == host]
        for migration in back:
            await self.departure_done(migration)
        return [
            Departed(
                migration=record.uuid, server_uuid=record.server_uuid, shared=bool(store.decode(record).shared),
                port_ids=[vif.port_id for vif in records.vifs(record.network_info)],
            )
            for record in found
            if record.uuid not in back
        ]  # fmt: skip

    @retried
    async def departure_done(self, migration: str, *, by: str | None = None) -> None:
        """`by` is the host that reports so, where the bus has authenticated it: only the one that the server left may do so."""
        values = {"status": store.COMPLETED, "updated_at": self.deps.now()}
        async with self.deps.database.transaction() as tx:
            await store.change(tx.connection, migration, [store.DONE], values, source=by)
