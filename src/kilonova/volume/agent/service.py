"""The volume agent as a service: starts the back ends, serves the bus, takes up unfinished work, sends heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from kilonova.core import log
from kilonova.core.context import RequestContext, service_context
from kilonova.core.periodic import Repeated
from kilonova.core.retry import Backoff, always, retry
from kilonova.core.service import Core
from kilonova.image.client import ImageClient
from kilonova.volume.agent.backend import Backend
from kilonova.volume.agent.backup_store import BackupStore
from kilonova.volume.agent.interface import VolumeAgentAPI
from kilonova.volume.agent.manager import VolumeAgentManager
from kilonova.volume.agent.options import VolumeAgentOptions
from kilonova.volume.backends.driver import VolumeDriver
from kilonova.volume.conductor.interface import VolumeConductorAPI
from kilonova.volume.models import AgentReport, BackendReport, PoolReport

logger = log.get("volume")
BACKOFF = Backoff(0.2, 5.0)
ANSWERS = 10.0  # seconds


class VolumeAgent:
    """The back ends of one machine, by name. Needs the bus and the image API; no database. A back end that can't start is
    down, the others work; it is tried again with each heartbeat."""

    def __init__(self, core: Core, host: str, drivers: Mapping[str, VolumeDriver], options: VolumeAgentOptions) -> None:
        self.core, self.host, self.options = core, host, options
        images, copies = ImageClient(core), asyncio.Semaphore(options.at_once)
        backups = BackupStore(Path(options.backup_folder or core.state_dir / "volume-backups"))
        self.backends = {
            f"{host}@{name}": Backend(f"{host}@{name}", driver, images, copies, backups)
            for name, driver in drivers.items()
        }
        self._conductor = core.bus.client(VolumeConductorAPI)
        self.manager = VolumeAgentManager(host, self.backends, self._conductor, core.clock)
        self._beats = Repeated("heartbeat of the volume agent", core.clock, options.heartbeat, self.beat)

    def _ctx(self) -> RequestContext:
        return service_context("req-" + self.core.clock.uuid())

    async def start(self) -> None:
        """Waits for the conductor; unfinished work continues in the background."""
        await retry(self.beat, BACKOFF, again=always, clock=self.core.clock, log=logger, work="report the back ends")
        await self.core.bus.serve(VolumeAgentAPI, self.manager, host=self.host, concurrency=256)
        for order in await self._conductor.tasks_of(self._ctx(), self.host):
            await self.manager.run(self._ctx(), order)
        self._beats.start()

    async def stop(self) -> None:
        await self._beats.stop()
        await self.manager.drain(self.options.stop_grace)
        await self.core.bus.withdraw(VolumeAgentAPI, host=self.host)
        for backend in self.backends.values():
            if backend.started:
                await backend.driver.stop()

    async def beat(self) -> None:
        reports = [report for backend in self.backends.values() if (report := await self._report(backend)) is not None]
        await self._conductor.report_agent(self._ctx(), AgentReport(host=self.host, backends=reports))

    async def _report(self, backend: Backend) -> BackendReport | None:
        """None of a back end that does not work now: it is down until it does."""
        try:
            if not backend.started:
                await backend.driver.start()
                backend.started = True
            async with asyncio.timeout(ANSWERS):  # the heartbeats of the others must not wait for it
                capacity = await backend.driver.capacity()
        except Exception as error:
            logger.warning("back end does not work", backend=backend.service, error=str(error))
            return None
        name = backend.service.partition("@")[2]
        capabilities = {
            "volume_backend_name": name, "vendor_name": "Kilonova", "driver_version": "1.0",
            "storage_protocol": capacity.protocol, "thin_provisioning_support": capacity.thin,
            "thick_provisioning_support": not capacity.thin, "multiattach": capacity.multiattach, "QoS_support": False,
        }  # fmt: skip
        pool = PoolReport(
            name=backend.pool, total_gb=capacity.total_gb, free_gb=capacity.free_gb, capabilities=capabilities
        )
        return BackendReport(service=backend.service, availability_zone=self.options.availability_zone, pools=[pool])
