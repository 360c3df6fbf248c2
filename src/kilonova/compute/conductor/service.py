"""The conductor as a service: its manager on the bus, its heartbeat, and the reconciler once the hosts are there."""

from __future__ import annotations

from kilonova.compute.conductor.heartbeat import CONDUCTOR, Heartbeat
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.conductor.manager import ConductorManager
from kilonova.compute.conductor.options import ConductorOptions
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.volume_client import volume_client
from kilonova.core.db import Database
from kilonova.core.service import Core
from kilonova.image.client import ImageClient
from kilonova.network.client import NetworkClient
from kilonova.placement.client import PlacementClient


class ConductorService:
    def __init__(self, core: Core, options: ConductorOptions, database: Database, *, host: str) -> None:
        self.core, self.host = core, host
        events = ServerEvents.of(core, "conductor", host, instance_name=options.instance_name_template)
        self.manager = ConductorManager(
            database,
            core.bus,
            PlacementClient(core),
            core.clock,
            core.faults,
            options,
            NetworkClient(core),
            events,
            core.grants,
            ImageClient(core),
            volume_client(core),
        )
        self.heartbeat = Heartbeat(database, core.clock, host, [CONDUCTOR])

    async def start(self) -> None:
        await self.manager.start()
        await self.core.bus.serve(ConductorAPI, self.manager, host=self.host, concurrency=256)
        await self.heartbeat.start()

    async def stop(self) -> None:
        await self.core.bus.withdraw(ConductorAPI, host=self.host)
        await self.heartbeat.stop()
        await self.manager.stop()


class ReconcilerService:
    """Started last. `alone`: this process is the whole cloud, and takes up at once what an earlier one left."""

    def __init__(self, conductor: ConductorService, *, alone: bool) -> None:
        self.reconciler, self.alone = conductor.manager.reconciler, alone

    async def start(self) -> None:
        await self.reconciler.start(all_in_one=self.alone)

    async def stop(self) -> None:
        await self.reconciler.stop()
