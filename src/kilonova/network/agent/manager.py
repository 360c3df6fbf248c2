"""The network agent: keeps one host's data plane as the network service says, and reports its taps.

It never touches the database: state comes over the bus, whole at first, then what has changed. Whatever happens at once becomes
one synchronization: while one runs, wishes for the next one gather.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable

from kilonova.core import errors, log
from kilonova.core.batching import Coalesced
from kilonova.core.clock import iso
from kilonova.core.context import RequestContext, service_context
from kilonova.core.retry import Attempts, Backoff
from kilonova.core.service import Core
from kilonova.network.agent.dataplane import DataPlane, DataPlaneError, Fault, Leftover, MetadataCaller
from kilonova.network.agent.feed import Feed
from kilonova.network.agent.interface import (
    AGENT_TYPE,
    BRIDGE_MAPPINGS,
    MAKES_ROUTERS,
    MAKES_TRUNKS,
    TUNNEL_IP,
    AgentState,
    NetworkAgentAPI,
    NetworkPluginAPI,
)
from kilonova.network.agent.model import HostModel, tap_name
from kilonova.network.errors import PlugFailed, PortNotOnHost
from kilonova.network.options import NetworkOptions

logger = log.get("network.agent")
BINARY = "kilonova-network-agent"
BACKOFF = Backoff(0.5, 15.0)
RESYNC_EVERY = 10  # heartbeats
SHOWN_FAULTS, LONGEST_FAULT = 20, 500  # how many, and how many characters of each, the agent's configurations show
GATHER = 0.1  # seconds during which changes made elsewhere gather


class NetworkAgent(NetworkAgentAPI):
    """One host's agent. `start` returns when the data plane is open and its first synchronization was tried."""

    def __init__(self, core: Core, dataplane: DataPlane, host: str, options: NetworkOptions | None = None) -> None:
        self.bus, self.clock, self.dataplane, self.host = core.bus, core.clock, dataplane, host
        self.options = options or NetworkOptions()
        self._plugin = core.bus.client(NetworkPluginAPI)
        self._feed = Feed()
        self._ports: dict[str, str] = {}  # tap -> local port, as last applied
        self._apart: set[str] = set()  # taps whose network needs tunnels that this host does not have
        self._faults: tuple[Fault, ...] = ()  # of the last synchronization
        self._faulty: dict[str, str] = {}  # tap → why its port is not in place
        self._up: set[str] = set()  # taps that are there
        self._sync = Coalesced(self._synchronize)
        self._reports: dict[str, bool] = {}  # port -> up, to be reported
        self._reporting: asyncio.Task[None] | None = None
        self._recovery: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._started_at = ""
        self._gathering = False
        self._synchronized = asyncio.Event()  # once

    async def start(self) -> None:
        """Raises DataPlaneError when the host cannot do it."""
        self._started_at = iso(self.clock.now())
        self.dataplane.find_callers(self._metadata_caller)
        await self.dataplane.open()
        self.dataplane.subscribe(self._on_tap)
        await self.bus.serve(NetworkAgentAPI, self, host=self.host)
        await self._report_state()
        settled = asyncio.Event()
        self._tasks = [
            asyncio.ensure_future(self._begin(settled)),
            asyncio.ensure_future(self._heartbeats()),
            asyncio.ensure_future(self._metering()),
        ]
        await settled.wait()

    async def stop(self) -> None:
        """The data plane stays in place."""
        await self.bus.withdraw(NetworkAgentAPI, host=self.host)
        tasks = [task for task in (*self._tasks, self._reporting, self._recovery) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sync.stop()
        await self.dataplane.close()

    async def changed(self, ctx: RequestContext, port_ids: list[str]) -> None:
        if not port_ids:  # no caller waits for it: others may join
            if self._gathering:
                return
            self._gathering = True
            try:
                await self.clock.sleep(GATHER)
            finally:
                self._gathering = False
        if not await self._try_to_synchronize():
            self._recover_soon()

    async def plug(self, ctx: RequestContext, port_ids: list[str]) -> None:
        taps = {tap_name(port_id): port_id for port_id in port_ids}
        if any(tap not in self._ports or tap not in self._up or tap in self._faulty for tap in taps):
            try:
                await self._sync()
            except (errors.BusError, errors.ServiceUnavailable):
                raise  # the caller retries while a service is unreachable
            except (errors.KilonovaError, DataPlaneError) as error:
                raise PlugFailed(host=self.host, reason=str(error)) from error
        for tap, port_id in taps.items():
            if tap not in self._ports:
                raise PortNotOnHost(id=port_id, host=self.host)
            if tap in self._apart:
                raise PlugFailed(host=self.host, reason="its network needs tunnels: set dataplane.tunnel_ip here")
            if tap in self._faulty:
                self._retry_faults()
                raise PlugFailed(host=self.host, reason=self._faulty[tap])
            if tap in self._up:
                self._report(tap, True)

    async def unplug(self, ctx: RequestContext, port_ids: list[str]) -> None:
        try:
            for port_id in port_ids:
                await self.dataplane.unplug(port_id)
        except DataPlaneError as error:
            raise PlugFailed(host=self.host, reason=str(error)) from error

    async def leftovers(self, ctx: RequestContext) -> list[Leftover]:
        found = await self.dataplane.leftovers()
        wanted = await self._plugin.host_model(self._ctx(), self.host, self.dataplane.sections)
        return [*found, *await self.dataplane.stale(wanted)]

    async def faults(self, ctx: RequestContext) -> list[Fault]:
        return list(self._faults)

    async def _metadata_caller(self, network_id: str, ip_address: str) -> MetadataCaller | None:
        return await self._plugin.metadata_caller(self._ctx(), self.host, network_id, ip_address)

    async def _begin(self, settled: asyncio.Event) -> None:
        """Synchronize until it succeeds, then report the ports that have lost their tap since the agent last ran."""
        if not await self._try_to_synchronize():
            settled.set()
            self._recover_soon()
            await self._synchronized.wait()
        for tap in self._ports:
            if tap not in self._up:
                self._report(tap, False)
        settled.set()

    async def _synchronize(self) -> None:
        model = await self._fetch()
        known = self._ports.keys()
        faults = await self.dataplane.apply(model)
        self._ports = {tap_name(p.id): p.id for n in model.networks for p in n.ports if p.local}
        self._apart = set() if self.dataplane.tunnel_ip else _tunnelled(model)
        self._synchronized.set()
        await self._note(model, faults)
        for tap in self._up & (self._ports.keys() - known):
            self._report(tap, True)

    async def _fetch(self) -> HostModel:
        """What has changed since the last time, or all where the network service is older than this agent."""
        sections = self.dataplane.sections
        try:
            changes = await self._plugin.host_changes(self._ctx(), self.host, sections, self._feed.held())
        except errors.BusError as error:
            if "has no method" not in error.message:
                raise
            return await self._plugin.host_model(self._ctx(), self.host, sections)
        return self._feed.take(changes)

    async def _note(self, model: HostModel, faults: tuple[Fault, ...]) -> None:
        """What this host could not show: each is logged when it comes and when it goes, and shown to admins."""
        before, self._faults = self._faults, faults
        self._faulty = _faulty(model, faults)
        for fault in faults:
            if fault not in before:
                logger.warning("not applied", host=self.host, kind=fault.kind, id=fault.id, reason=fault.reason)
        for fault in before:
            if fault not in faults:
                logger.info("recovered", host=self.host, kind=fault.kind, id=fault.id)
        if faults != before:
            await self._report_state()

    async def _try_to_synchronize(self) -> bool:
        try:
            await self._sync()
        except Exception as error:  # whatever it is, the agent keeps running and retries
            logger.warning("synchronization failed", host=self.host, reason=str(error) or type(error).__name__)
            return False
        self._retry_faults()
        return True

    def _retry_faults(self) -> None:
        if not self._settled():
            self._recover_soon()

    def _settled(self) -> bool:
        """Whether another synchronization would change nothing."""
        return all(fault.lasting for fault in self._faults)

    def _recover_soon(self) -> None:
        if self._recovery is None or self._recovery.done():
            self._recovery = asyncio.ensure_future(self._recover())

    async def _recover(self) -> None:
        """Try until a synchronization worked, and left nothing to be tried again."""
        for attempt in itertools.count(1):
            await self.clock.sleep(BACKOFF.pause(attempt, self.clock))
            if await self._try_to_synchronize() and self._settled():
                return

    def _on_tap(self, tap: str, up: bool) -> None:
        if up:
            self._up.add(tap)
        else:
            self._up.discard(tap)
        self._report(tap, up)

    def _report(self, tap: str, up: bool) -> None:
        """Queue it; reports that come together are sent together, and the last word on a port counts."""
        port_id = self._ports.get(tap)
        if port_id is None:
            return
        self._reports[port_id] = up
        if self._reporting is None or self._reporting.done():
            self._reporting = asyncio.ensure_future(self._send_reports())

    async def _send_reports(self) -> None:
        attempts = Attempts(BACKOFF, clock=self.clock, log=logger, work="report ports", host=self.host)
        while self._reports:
            batch, self._reports = self._reports, {}
            try:
                await self._report_ports(batch)
                attempts.succeeded()
            except errors.KilonovaError as error:
                self._reports = batch | self._reports
                await self.clock.sleep(attempts.failed(error))

    async def _report_ports(self, batch: dict[str, bool]) -> None:
        down = [port_id for port_id, up in batch.items() if not up]
        if down:
            await self._plugin.port_down(self._ctx(), self.host, down)
        up_now = [port_id for port_id, up in batch.items() if up]
        if up_now:
            await self._plugin.port_up(self._ctx(), self.host, up_now)

    async def _heartbeats(self) -> None:
        count = 0
        while True:
            await self.clock.sleep(self.options.report_interval)
            count += 1
            await self._report_state()
            if count % RESYNC_EVERY == 0:
                self._feed.doubt()  # of two changes at the same time one may not have known that the other concerns this host
                await self._try_to_synchronize()

    async def _metering(self) -> None:
        """What is not delivered is told again the next time."""
        delivered: set[str] = set()
        while True:
            await self.clock.sleep(self.options.metering_interval)
            try:
                told = await self.dataplane.metered(delivered)
                if told:
                    await self._plugin.metered(self._ctx(), self.host, told)
                delivered = {one.id for one in told}
            except (errors.KilonovaError, DataPlaneError, OSError) as error:
                logger.info("metering not delivered", host=self.host, reason=str(error))

    async def _report_state(self) -> None:
        state = AgentState(
            host=self.host,
            agent_type=AGENT_TYPE,
            binary=BINARY,
            started_at=self._started_at,
            availability_zone=self.options.availability_zone,
            configurations={
                "driver": self.dataplane.name,
                "devices": len(self._ports),
                TUNNEL_IP: self.dataplane.tunnel_ip,
                "tunnel_types": ["vxlan"] if self.dataplane.tunnel_ip else [],
                BRIDGE_MAPPINGS: dict(self.dataplane.bridge_mappings),
                MAKES_ROUTERS: "routers" in self.dataplane.sections,
                MAKES_TRUNKS: self.dataplane.trunks,
                "faults": [str(fault)[:LONGEST_FAULT] for fault in self._faults[:SHOWN_FAULTS]],
            },
        )
        try:
            await self._plugin.report_state(self._ctx(), state)
        except errors.BusError as error:
            logger.info("heartbeat not delivered", host=self.host, reason=error.message)

    def _ctx(self) -> RequestContext:
        return service_context("req-" + self.clock.uuid())


def _faulty(model: HostModel, faults: Iterable[Fault]) -> dict[str, str]:
    """Tap → why its port is not in place: its own fault, or its network's."""
    found = {(fault.kind, fault.id): str(fault) for fault in faults}
    if not found:
        return {}
    ports = [(p, found.get(("port", p.id)) or found.get(("network", n.id))) for n in model.networks for p in n.ports]
    return {tap_name(port.id): reason for port, reason in ports if port.local and reason}


def _tunnelled(model: HostModel) -> set[str]:
    """Taps of local ports on networks with a segmentation id."""
    networks = (n for n in model.networks if n.segmentation_id is not None)
    return {tap_name(p.id) for n in networks for p in n.ports if p.local}
