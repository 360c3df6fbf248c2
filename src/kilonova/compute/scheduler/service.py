"""The scheduler as a service: its manager on the bus, its heartbeat."""

from __future__ import annotations

from kilonova.compute.conductor.heartbeat import SCHEDULER, Heartbeat
from kilonova.compute.scheduler.interface import SchedulerAPI
from kilonova.compute.scheduler.manager import SchedulerManager
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.core.db import Database
from kilonova.core.service import Core
from kilonova.placement.client import PlacementClient


class SchedulerService:
    def __init__(self, core: Core, options: SchedulerOptions, database: Database, *, host: str) -> None:
        self.core, self.host = core, host
        self.manager = SchedulerManager(database, PlacementClient(core), options, core.clock, core.faults)
        self.heartbeat = Heartbeat(database, core.clock, host, [SCHEDULER])

    async def start(self) -> None:
        await self.core.bus.serve(SchedulerAPI, self.manager, host=self.host)
        await self.heartbeat.start()

    async def stop(self) -> None:
        await self.core.bus.withdraw(SchedulerAPI, host=self.host)
        await self.heartbeat.stop()
