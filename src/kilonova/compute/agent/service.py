"""A compute host as a service: opens the driver, serves the bus, resumes unfinished work, sends heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from kilonova.compute.agent.events import EventBoard, PowerBoard
from kilonova.compute.agent.interface import ComputeAPI
from kilonova.compute.agent.journal import Journal
from kilonova.compute.agent.manager import ComputeManager
from kilonova.compute.agent.options import AgentOptions
from kilonova.compute.agent.recovery import recover, remove_leftovers, take_up_lost
from kilonova.compute.agent.relay import Relay
from kilonova.compute.agent.runner import Host
from kilonova.compute.agent.transfers import DiskTransfers
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.models import HostFacts, HostReport, HostStats
from kilonova.compute.node_ids import node_uuid
from kilonova.compute.virt.driver import HostCapacity, LifecycleEvent, PowerState, VirtDriver, VirtError
from kilonova.core import log
from kilonova.core.context import RequestContext, service_context
from kilonova.core.service import Core
from kilonova.image.client import ImageClient
from kilonova.network.agent.interface import NetworkAgentAPI
from kilonova.network.client import NetworkClient

logger = log.get("agent")
SWEEP_EVERY = 30  # heartbeats
LATE_BEAT = 1.0  # seconds after which a heartbeat that no conductor answered is repeated


class ComputeAgent:
    """One compute host. Needs the bus and the REST APIs of network and image; no database."""

    def __init__(
        self, core: Core, host: str, driver: VirtDriver, journal: Journal, options: AgentOptions,
        transfers: DiskTransfers | None = None, relay: Relay | None = None,
    ) -> None:  # fmt: skip
        self.core, self.host, self.options = core, host, options
        self.transfers = transfers or DiskTransfers()
        self.transfers.add(host, driver.disks, self._asked_for)
        self._power = PowerBoard()
        self._conductor = core.bus.client(ConductorAPI)
        self.manager = ComputeManager(
            Host(
                name=host,
                options=options,
                driver=driver,
                conductor=self._conductor,
                wiring=core.bus.client(NetworkAgentAPI, host=host),
                network=NetworkClient(core),
                image=ImageClient(core),
                events=EventBoard(),
                power=self._power,
                journal=journal,
                faults=core.faults,
                clock=core.clock,
                transfers=self.transfers,
                relay=relay or Relay(),
            )
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[str, str] = {}  # what no work was done for at the last look

    async def start(self) -> None:
        """Raises HypervisorUnavailable. Waits for the conductor; recovery continues in the background."""
        driver = self.manager.host.driver
        await driver.open()
        driver.subscribe(self._seen)
        await self.manager.host.ask_conductor(self._report)
        self._keep(*await recover(self.manager, self._ctx()))
        await self.manager.forget_departed(self._ctx())
        await self.core.bus.serve(ComputeAPI, self.manager, host=self.host, concurrency=1000)
        self._spawn(self._beat())

    async def stop(self) -> None:
        """What does not end within `stop_grace` is cut off: the next start takes it up from the journal."""
        await self.manager.drain(self.options.stop_grace)
        self.manager.interrupt()
        await self.core.bus.withdraw(ComputeAPI, host=self.host)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.manager.host.driver.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._keep(asyncio.ensure_future(work))

    def _keep(self, *tasks: asyncio.Task[None]) -> None:
        for task in tasks:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _ctx(self) -> RequestContext:
        return service_context("req-" + self.core.clock.uuid())

    async def _beat(self) -> None:
        """A host that could not report for a while sends a heartbeat soon, and asks for the state of its servers."""
        beats, unheard = 0, False
        await self._sweep()
        while True:
            await self.core.clock.sleep(min(self.options.heartbeat, LATE_BEAT) if unheard else self.options.heartbeat)
            try:
                await self._report()
            except Exception as error:  # heartbeats continue
                logger.warning("heartbeat failed", host=self.host, exc_info=error)
                unheard = True
                continue
            beats += 1
            if unheard or beats % SWEEP_EVERY == 0:
                await self._sweep()
            unheard = False

    async def _sweep(self) -> None:
        """A host that was cut off for a while must find out as well as one that was switched off."""
        try:
            await self.manager.forget_departed(self._ctx())
            await remove_leftovers(self.manager, self._ctx())
            self._waiting = await take_up_lost(self.manager, self._ctx(), self._waiting)
        except Exception as error:
            logger.warning("search for leftovers failed", host=self.host, exc_info=error)

    async def _asked_for(self, migration: str, secret: str) -> str | None:
        """The server whose disks are to be served to those who know this secret."""
        return await self._conductor.disks_asked_for(self._ctx(), self.host, migration, secret)

    async def _report(self) -> None:
        driver = self.manager.host.driver
        capacity = await driver.capacity()
        guests = await driver.guests()
        await self._conductor.report_host(self._ctx(), self._host_report(capacity, len(guests)))

    def _host_report(self, capacity: HostCapacity, guests: int) -> HostReport:
        options, building = self.options, len(self.manager.busy)
        return HostReport(
            host=self.host,
            hypervisor_hostname=self.host,
            node_uuid=node_uuid(self.host),
            host_ip=options.host_ip,
            vcpus=capacity.vcpus,
            memory_mb=capacity.memory_mb,
            disk_gb=capacity.disk_gb,
            reserved_memory_mb=min(options.reserved_memory_mb, capacity.memory_mb),
            reserved_disk_gb=min(options.reserved_disk_gb, capacity.disk_gb),
            reserved_vcpus=options.reserved_vcpus,
            cpu_ratio=options.cpu_ratio,
            ram_ratio=options.ram_ratio,
            disk_ratio=options.disk_ratio,
            hypervisor_type=capacity.hypervisor_type,
            hypervisor_version=capacity.hypervisor_version,
            facts=HostFacts(
                cpu_arch=capacity.cpu_arch,
                cpu_info={key: str(value) for key, value in capacity.cpu_info.items()},
                supported=list(capacity.supported),
                firmware=list(capacity.firmware) if capacity.firmware is not None else None,
                virt_driver=self.manager.host.driver.name,
                transfer_url=self.transfers.url(self.host),
            ),
            stats=HostStats(running_vms=guests, io_ops=building, building=building),
        )

    def _seen(self, event: LifecycleEvent) -> None:
        """A guest changed. Waiting steps are woken; when no operation runs on it, its row is updated."""
        self._power.seen(event)
        if event.uuid not in self.manager.busy and event.power_state is not PowerState.NOSTATE:
            self._spawn(self._report_power(event.uuid))

    async def _report_power(self, server_id: str) -> None:
        """Report the guest's power state as it is when the conductor answers, which may be later than the event."""

        async def report() -> None:
            state = await self.manager.host.driver.power_state(server_id)
            if state is not PowerState.NOSTATE:
                await self._conductor.power_state_seen(self._ctx(), self.host, server_id, int(state))

        try:
            await self.manager.host.ask_conductor(report)
        except VirtError as error:
            logger.warning("power state not reported", host=self.host, server=server_id, error=str(error))
