"""The conductor's bus side. Every method is idempotent."""

from __future__ import annotations

from kilonova.compute import models
from kilonova.compute.conductor.build_results import BuildResults
from kilonova.compute.conductor.builds import Builds
from kilonova.compute.conductor.consoles import Consoles
from kilonova.compute.conductor.deletion import Deletion
from kilonova.compute.conductor.deps import Deps
from kilonova.compute.conductor.dispatch_watchdog import DispatchWatchdog
from kilonova.compute.conductor.host_removal import HostRemoval
from kilonova.compute.conductor.host_reports import HostReports
from kilonova.compute.conductor.images import Images
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.moves import Moves
from kilonova.compute.conductor.network_info import NetworkInfo
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.conductor.own_actions import OwnActions
from kilonova.compute.conductor.ports import Ports
from kilonova.compute.conductor.reconciler import Reconciler
from kilonova.compute.conductor.state_updates import StateUpdates
from kilonova.compute.conductor.volumes import Volumes
from kilonova.compute.grants import BuildGrants
from kilonova.compute.notifications import ServerEvents, silent
from kilonova.compute.states import Vm
from kilonova.compute.store import builds as build_store
from kilonova.compute.store import conductor_servers as store
from kilonova.compute.volumes import VolumeAccess
from kilonova.core.bus import Bus
from kilonova.core.bus.base import Undelivered
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database
from kilonova.core.faults import Faults
from kilonova.core.grants import Grants
from kilonova.image.client import ImageClient
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
        images: ImageClient | None = None,
        volumes: VolumeAccess | None = None,
    ) -> None:
        settled_at = clock.monotonic() + options.startup_grace
        self.deps = deps = Deps(
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
        self.builds = Builds(deps)
        self.images = Images(deps, images)
        self.results = BuildResults(deps, self.images)
        own = OwnActions(deps)
        self.updates = StateUpdates(deps, self.images, own)
        self.volumes = Volumes(deps, volumes)
        self.deletion = Deletion(deps, Ports(deps, network), self.images, self.volumes)
        self.interfaces = NetworkInfo(deps, network)
        self.moves = Moves(deps, self.interfaces)
        self.removal = HostRemoval(deps)
        self.consoles = Consoles(deps)
        self.reports = HostReports(deps)
        self.watchdog = DispatchWatchdog(deps, self.builds, self.results)
        self.reconciler = Reconciler(deps, self.builds, self.deletion, self.watchdog, self.moves, own)

    async def start(self) -> None:
        self.watchdog.start()

    async def stop(self) -> None:
        await self.watchdog.stop()
        await self.reports.close()

    async def build_servers(self, ctx: RequestContext, server_ids: list[str], request_id: str) -> None:
        await self.builds.build(ctx, server_ids, request_id)

    async def delete_unhosted(self, ctx: RequestContext, server_id: str, request_id: str) -> None:
        await self.deletion.unhosted(ctx, server_id, request_id)

    async def host_removed(self, ctx: RequestContext, host: str, provider: str) -> None:
        await self.removal.removed(host, provider)

    async def move_server(self, ctx: RequestContext, server_id: str, migration: str) -> None:
        await self.moves.begin(ctx, server_id, migration)

    async def remove_image(self, ctx: RequestContext, image_id: str, finished: bool) -> None:
        await self.images.remove(image_id, finished=finished)

    async def rotate_backups(self, ctx: RequestContext, server_id: str, backup_type: str, rotation: int) -> None:
        await self.images.rotate(server_id, ctx.project_id or "", backup_type, rotation)

    async def departed_servers(self, ctx: RequestContext, host: str) -> list[models.Departed]:
        return await self.moves.departed(host)

    async def departure_done(self, ctx: RequestContext, migration: str) -> None:
        await self.moves.departure_done(migration, by=ctx.sender)

    async def disks_at(self, ctx: RequestContext, host: str, migration: str) -> str:
        return await self.moves.disks_at(host, migration)

    async def disks_asked_for(self, ctx: RequestContext, host: str, migration: str, secret: str) -> str | None:
        return await self.moves.disks_asked_for(host, migration, secret)

    async def guest_on_its_way(
        self, ctx: RequestContext, host: str, migration: str, progress: models.Progress
    ) -> models.Wishes:
        return await self.moves.progress(host, migration, progress)

    async def ports_stay(self, ctx: RequestContext, server_id: str) -> None:
        await self.deletion.ports.stay(server_id)

    async def update_server(self, ctx: RequestContext, server_id: str, change: models.ServerChange) -> bool:
        applied = await self.updates.update(server_id, change)
        if applied or ctx.sender is None:  # the host that reports has received the message
            self.builds.dispatched.discard(server_id)
        return applied

    async def build_ended(self, ctx: RequestContext, outcome: models.BuildOutcome) -> bool:
        if outcome.move is not None:
            return await self.moves.ended(ctx, outcome)
        accepted = await self.results.ended(ctx, outcome)
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
        return await self.updates.action_ended(server_id, request_id, action, change, fault, steps, by=ctx.sender)

    async def server_deleted(self, ctx: RequestContext, server_id: str, request_id: str) -> None:
        await self.deletion.deleted(server_id, request_id, by=ctx.sender)

    async def deleted_servers(self, ctx: RequestContext, server_ids: list[str]) -> list[str]:
        async with self.deps.database.reading() as connection:
            return sorted(await store.known_deleted(connection, server_ids))

    async def report_host(self, ctx: RequestContext, report: models.HostReport) -> None:
        await self.reports.report(report, by=ctx.sender)

    async def servers_on_host(self, ctx: RequestContext, host: str) -> list[models.ServerBuild]:
        async with self.deps.database.reading() as connection:
            rows = await build_store.builds_on_host(connection, host)
            actions = await store.open_actions(connection, [row.uuid for row in rows])
        builds = [
            build_store.from_row(
                row,
                request_id=actions[row.uuid].request_id if row.uuid in actions else ctx.request_id,
                action="create"
                if row.vm_state == Vm.BUILDING  # an unshelved server's is found among its actions
                else actions[row.uuid].action
                if row.uuid in actions
                else "",
            )
            for row in rows
        ]
        return [self.deps.grants.granted(build, host) for build in builds]

    async def network_changed(self, ctx: RequestContext, server_ids: list[str]) -> None:
        await self.interfaces.changed(server_ids)

    async def network_info(self, ctx: RequestContext, host: str, server_id: str) -> list[models.Vif] | None:
        async with self.deps.database.reading() as connection:
            if not await store.holds(connection, server_id, [store.on_host(host)]):
                return None
        return await self.interfaces.before_power_on(ctx, server_id)

    async def connect_volumes(
        self, ctx: RequestContext, host: str, server_id: str, connector: dict[str, str], device: str | None
    ) -> list[models.ConnectedVolume] | None:
        return await self.volumes.connect(host, server_id, connector, device)

    async def disconnect_volumes(
        self, ctx: RequestContext, host: str, server_id: str, device: str | None, forget: bool
    ) -> None:
        await self.volumes.disconnect(host, server_id, device, forget=forget)

    async def name_volume(self, ctx: RequestContext, host: str, server_id: str, device: str, name: str) -> None:
        await self.volumes.name(host, server_id, device, name)

    async def reserve_volumes(self, ctx: RequestContext, server_id: str) -> None:
        await self.volumes.reserve(server_id)

    async def drop_volume(self, ctx: RequestContext, server_id: str, device: str) -> None:
        await self.volumes.drop(server_id, device)

    async def redeem_console(self, ctx: RequestContext, token: str) -> models.ConsoleTicket | None:
        return await self.consoles.redeem(ctx, token)

    async def renew_grant(self, ctx: RequestContext, host: str, server_id: str, grant: str) -> str:
        held = self.deps.grants.held(grant)
        if held is None or (held.host, held.server) != (host, server_id):
            return ""
        async with self.deps.database.reading() as connection:
            needed = await store.holds(connection, server_id, [store.busy_at(host)])
        return self.deps.grants.renewed(held) if needed else ""

    async def undelivered(self, ctx: RequestContext) -> list[Undelivered]:
        outbox = self.deps.database.outbox
        return await outbox.undelivered() if outbox is not None else []

    async def power_state_seen(self, ctx: RequestContext, host: str, server_id: str, power_state: int) -> None:
        await self.updates.power_state_seen(host, server_id, power_state)
