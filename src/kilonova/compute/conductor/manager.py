"""The conductor's bus side. Every method bears repetition."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.conductor.builds import Builds
from kilonova.compute.conductor.changes import Changes
from kilonova.compute.conductor.deletion import Deletion
from kilonova.compute.conductor.departures import Departures
from kilonova.compute.conductor.endings import Endings
from kilonova.compute.conductor.host_reports import HostReports
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.moves import Moves
from kilonova.compute.conductor.network_info import NetworkInfo
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.conductor.parts import Parts
from kilonova.compute.conductor.ports import Ports
from kilonova.compute.conductor.reconciler import Reconciler
from kilonova.compute.conductor.watch import Watch
from kilonova.compute.grants import BuildGrants
from kilonova.compute.notifications import ServerEvents, silent
from kilonova.compute.states import Vm
from kilonova.compute.store import builds as build_store
from kilonova.compute.store import conductor_servers as store
from kilonova.core.bus import Bus
from kilonova.core.bus.base import Undelivered
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database
from kilonova.core.faults import Faults
from kilonova.core.grants import Grants
from kilonova.network.client import NetworkClient
from kilonova.placement.client import PlacementClient


class ConductorManager(ConductorAPI):
    """`database` is compute's, with its outbox. `start` begins the watch over dispatched builds; `reconciler` is started
    apart, in as many processes as one likes."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        placement: PlacementClient,
        clock: Clock,
        faults: Faults,
        options: ConductorOptions,
        network: NetworkClient,
        events: ServerEvents | None = None,
        grants: Grants | None = None,
    ) -> None:
        settled_at = clock.monotonic() + options.startup_grace
        self.parts = parts = Parts(
            database,
            bus,
            placement,
            clock,
            faults,
            options,
            events or silent(clock),
            BuildGrants(grants or Grants(), clock),
            settled_at,
        )
        self.builds = Builds(parts)
        self.endings = Endings(parts)
        self.changes = Changes(parts)
        self.deletion = Deletion(parts, Ports(parts, network))
        self.interfaces = NetworkInfo(parts, network)
        self.moves = Moves(parts, self.interfaces)
        self.departures = Departures(parts)
        self.reports = HostReports(parts)
        self.watch = Watch(parts, self.builds, self.endings)
        self.reconciler = Reconciler(parts, self.builds, self.deletion, self.watch, self.moves)

    async def start(self) -> None:
        self.watch.start()

    async def stop(self) -> None:
        await self.watch.stop()
        await self.reports.close()

    async def build_servers(self, ctx: RequestContext, server_ids: list[str], request_id: str) -> None:
        await self.builds.build(ctx, server_ids, request_id)

    async def delete_unhosted(self, ctx: RequestContext, server_id: str, request_id: str) -> None:
        await self.deletion.unhosted(ctx, server_id, request_id)

    async def host_removed(self, ctx: RequestContext, host: str, provider: str) -> None:
        await self.departures.removed(host, provider)

    async def move_server(self, ctx: RequestContext, server_id: str, migration: str) -> None:
        await self.moves.begin(ctx, server_id, migration)

    async def departed_servers(self, ctx: RequestContext, host: str) -> list[models.Departed]:
        return await self.moves.departed(host)

    async def departure_done(self, ctx: RequestContext, migration: str) -> None:
        await self.moves.departure_done(migration, by=ctx.sender)

    async def update_server(self, ctx: RequestContext, server_id: str, change: models.ServerChange) -> bool:
        applied = await self.changes.update(server_id, change)
        if applied or ctx.sender is None:  # whoever asks has the message
            self.builds.dispatched.discard(server_id)
        return applied

    async def build_ended(self, ctx: RequestContext, outcome: models.BuildOutcome) -> bool:
        if outcome.move is not None:
            return await self.moves.ended(ctx, outcome)
        accepted = await self.endings.ended(ctx, outcome)
        if accepted or ctx.sender is None:
            self.builds.dispatched.discard(outcome.server_uuid)
        return accepted

    async def action_ended(
        self,
        ctx: RequestContext,
        server_id: str,
        request_id: str,
        action: str,
        change: models.ServerChange,
        fault: models.Fault | None,
        steps: list[models.StepRecord],
    ) -> bool:
        return await self.changes.action_ended(server_id, request_id, action, change, fault, steps, by=ctx.sender)

    async def server_deleted(self, ctx: RequestContext, server_id: str, request_id: str) -> None:
        await self.deletion.deleted(server_id, request_id, by=ctx.sender)

    async def deleted_servers(self, ctx: RequestContext, server_ids: list[str]) -> list[str]:
        async with self.parts.database.reading() as connection:
            return sorted(await store.known_deleted(connection, server_ids))

    async def report_host(self, ctx: RequestContext, report: models.HostReport) -> None:
        await self.reports.report(report, by=ctx.sender)

    async def servers_on_host(self, ctx: RequestContext, host: str) -> list[models.ServerBuild]:
        async with self.parts.database.reading() as connection:
            rows = await build_store.builds_on_host(connection, host)
            actions = await store.open_actions(connection, [row.uuid for row in rows])
        builds = [
            build_store.from_row(
                row,
                request_id=actions[row.uuid].request_id if row.uuid in actions else ctx.request_id,
                action="create"
                if row.vm_state == Vm.BUILDING
                else actions[row.uuid].action
                if row.uuid in actions
                else "",
            )
            for row in rows
        ]
        return [self.parts.grants.granted(build, host) for build in builds]

    async def network_changed(self, ctx: RequestContext, server_ids: list[str]) -> None:
        await self.interfaces.changed(server_ids)

    async def network_info(self, ctx: RequestContext, host: str, server_id: str) -> list[models.Vif] | None:
        async with self.parts.database.reading() as connection:
            if not await store.holds(connection, server_id, [store.on_host(host)]):
                return None
        return await self.interfaces.before_power_on(ctx, server_id)

    async def undelivered(self, ctx: RequestContext) -> list[Undelivered]:
        outbox = self.parts.database.outbox
        return await outbox.undelivered() if outbox is not None else []

    async def power_state_seen(self, ctx: RequestContext, host: str, server_id: str, power_state: int) -> None:
        await self.changes.power_state_seen(host, server_id, power_state)
