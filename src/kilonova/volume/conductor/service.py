"""The volume conductor as a service: its manager on the bus, its heartbeat, its watch over unfinished tasks."""

from __future__ import annotations

from kilonova.core.db import Database, retried
from kilonova.core.periodic import Repeated
from kilonova.core.service import Core
from kilonova.volume.conductor.compute_events import ComputeEvents
from kilonova.volume.conductor.deps import Deps
from kilonova.volume.conductor.interface import VolumeConductorAPI
from kilonova.volume.conductor.manager import VolumeConductor
from kilonova.volume.notifications import VolumeEvents
from kilonova.volume.options import VolumeConductorOptions
from kilonova.volume.store import services


class VolumeConductorService:
    def __init__(self, core: Core, options: VolumeConductorOptions, database: Database, *, host: str) -> None:
        self.core, self.host, self.database, self.options = core, host, database, options
        settled_at = core.clock.monotonic() + options.startup_grace
        deps = Deps(database, core.bus, core.clock, options, VolumeEvents(core.notifier, core.clock, host), settled_at)
        self.manager = VolumeConductor(deps, ComputeEvents(core, database))
        self._beats = Repeated("heartbeat of the volume conductor", core.clock, options.heartbeat, self._beat)

    async def start(self) -> None:
        await self._beat()
        await self.core.bus.serve(VolumeConductorAPI, self.manager, host=self.host, concurrency=64)
        self._beats.start()
        self.manager.watch.repeated.start()

    async def stop(self) -> None:
        await self.manager.watch.repeated.stop()
        await self.core.bus.withdraw(VolumeConductorAPI, host=self.host)
        await self._beats.stop()

    @retried
    async def _beat(self) -> None:
        zone, clock = self.options.availability_zone, self.core.clock
        async with self.database.transaction() as tx:
            await services.seen(tx.connection, self.host, services.CONDUCTOR, zone, clock.row_time(), clock.uuid())
