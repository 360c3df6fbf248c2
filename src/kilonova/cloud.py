"""A whole cloud in one process: SQLite, the memory bus, one port, all services and the agents of its hosts."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from kilonova import secrets_file
from kilonova.compute.agent.journal import Journal
from kilonova.compute.agent.service import ComputeAgent
from kilonova.compute.app import ComputeApiService
from kilonova.compute.conductor.service import ConductorService, ReconcilerService
from kilonova.compute.database import open_database
from kilonova.compute.metadata.app import MetadataService
from kilonova.compute.scheduler.service import SchedulerService
from kilonova.compute.virt.disks import DiskStore
from kilonova.compute.virt.driver import VirtDriver
from kilonova.compute.virt.load import DriverContext
from kilonova.compute.virt.load import load as load_driver
from kilonova.core.bus import open_bus
from kilonova.core.clock import Clock
from kilonova.core.faults import Faults
from kilonova.core.service import Core, Service, WebService
from kilonova.core.web.gateway import Gateway
from kilonova.core.web.transport import AsgiTransport
from kilonova.identity.app import IdentityService
from kilonova.identity.client import RemoteAuthenticator, ServiceAccount, ServiceCredentials
from kilonova.identity.logic.bootstrap import CatalogEntry
from kilonova.image.app import ImageService
from kilonova.network.agent.dataplane import DataPlane
from kilonova.network.agent.manager import NetworkAgent
from kilonova.network.agent.noop import NoopDataPlane
from kilonova.network.app import NetworkService
from kilonova.ops.app import OpsService
from kilonova.placement.app import PlacementService
from kilonova.settings import Settings

CATALOG: tuple[tuple[str, str, str, str], ...] = (
    # type, name, service's place behind the gateway, path
    ("identity", "keystone", "identity", "/v3"),
    ("image", "glance", "image", ""),
    ("placement", "placement", "placement", ""),
    ("network", "neutron", "network", ""),
    ("compute", "nova", "compute", "/v2.1"),
)


class Cloud:
    """Everything, started and stopped in order. `app` answers on the one port."""

    def __init__(self, settings: Settings, *, env: Mapping[str, str] | None = None) -> None:
        self.settings = settings
        self.state_dir = settings.state_dir
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.secrets = secrets_file.settle(self.state_dir, settings.secrets, Clock())
        self.app = Gateway({})
        self.core = self._core(Faults.from_env(os.environ if env is None else env))
        self.services: list[Service] = []
        self._started: list[Service] = []
        self._build()

    def _core(self, faults: Faults) -> Core:
        settings, url = self.settings, self.settings.public_url
        transport = AsgiTransport(self.app)
        clock, bus = Clock(), open_bus(settings.bus.url)
        identity_url = f"{url}/identity"
        account = ServiceAccount(
            identity_url, transport, ServiceCredentials(password=self.secrets.service_password), clock
        )
        self.authenticator = RemoteAuthenticator(identity_url, transport, account, clock)
        urls = {k: v for k in settings.database.__struct_fields__ if (v := getattr(settings.database, k))}
        names = ("identity", "image", "network", "compute", "placement", "metadata")
        return Core(
            clock=clock,
            bus=bus,
            faults=faults,
            state_dir=self.state_dir,
            region=settings.cloud.region,
            endpoints={name: f"{url}/{name}" for name in names},
            public_url=url,
            transport=transport,
            authenticator=self.authenticator,
            tokens=account,
            database_urls=urls,
            policy_dir=Path(settings.cloud.policy_dir) if settings.cloud.policy_dir else None,
        )

    def _build(self) -> None:
        core, settings = self.core, self.settings
        self.identity = IdentityService(core, settings.identity)
        database = open_database(core)
        web: list[WebService] = [
            PlacementService(core),
            ImageService(core, settings.image),
            NetworkService(core, settings.network),
            ComputeApiService(core, settings.compute, database=database),
            MetadataService(core, database, self.secrets.metadata_secret),
            OpsService(core),
        ]
        for service in (self.identity, *web):
            self.app.apps[service.prefix] = service.app
        controller = settings.agent.host or socket.gethostname()
        conductor = ConductorService(core, settings.conductor, database, host=controller)
        scheduler = SchedulerService(core, settings.scheduler, database, host=controller)
        self.services += [*web, scheduler, conductor, *self._hosts(), ReconcilerService(conductor)]

    def _hosts(self) -> Iterator[Service]:
        """The agents of each host, the network's first: a launch needs it."""
        core, settings = self.core, self.settings
        journal = Journal(self.state_dir / "journal" / "compute.jsonl", core.clock)
        for host, driver in drivers_of(settings, self.state_dir, core.clock).items():
            plane = data_plane_of(settings, driver.name, self.secrets.metadata_secret)
            yield NetworkAgent(core, plane, host, settings.network)
            yield ComputeAgent(core, host, driver, journal, settings.agent)

    async def start(self) -> None:
        """Start all in order; what was started is stopped again when one fails."""
        try:
            await self.core.bus.open()
            await self.authenticator.listen(self.core.bus, host="all-in-one")
            await self._start(self.identity)
            await self.identity.bootstrap(
                admin_password=self.secrets.admin_password,
                demo_password=self.secrets.demo_password,
                service_password=self.secrets.service_password,
                endpoints=self._catalog(),
            )
            for service in self.services:
                await self._start(service)
        except BaseException:
            await self.stop()
            raise

    async def _start(self, service: Service) -> None:
        self._started.append(service)
        await service.start()

    async def stop(self) -> None:
        """Stop in reverse order; guests keep running."""
        while self._started:
            await self._started.pop().stop()
        await self.core.bus.close()

    def _catalog(self) -> list[CatalogEntry]:
        url, region = self.settings.public_url, self.settings.cloud.region
        return [
            CatalogEntry(type=t, name=n, public=f"{url}/{place}{path}", region=region) for t, n, place, path in CATALOG
        ]


def drivers_of(settings: Settings, state_dir: Path, clock: Clock) -> dict[str, VirtDriver]:
    """The hypervisor drivers of this process by host name: one for libvirt, as many as asked for the fake one."""
    name = settings.agent.driver
    options: dict[str, Any] = dict(getattr(settings.driver, name, {}))
    first = settings.agent.host or socket.gethostname()
    hosts = [first]
    shared: Any = None
    disks: DiskStore | None = None
    if name == "fake":
        from kilonova.compute.virt.fake_hypervisor import FakeHypervisor

        shared = FakeHypervisor(state_dir / "fake-hypervisor.jsonl", clock=clock)
        if settings.cloud.fake_hosts > 1:
            hosts = [f"{first}-{n}" for n in range(1, settings.cloud.fake_hosts + 1)]
    elif name == "libvirt":
        from kilonova.compute.virt.file_disks import FileDisks, FileDisksOptions

        disks = FileDisks(FileDisksOptions(state_dir=state_dir, owner="libvirt-qemu"))
    return {
        host: load_driver(
            name,
            DriverContext(host=host, state_dir=state_dir, options=options, disks=disks, shared=shared, clock=clock),
        )
        for host in hosts
    }


def data_plane_of(settings: Settings, driver: str, metadata_secret: str) -> DataPlane:
    """The data plane that goes with a hypervisor driver, unless the settings name another."""
    chosen = settings.dataplane.driver or ("noop" if driver == "fake" else "bridge")
    if chosen == "noop":
        return NoopDataPlane()
    from kilonova.network.agent.bridge.driver import BridgeDataPlane
    from kilonova.network.agent.bridge.metadata_proxy import MetadataUpstream
    from kilonova.network.agent.bridge.options import BridgeOptions

    options = BridgeOptions(
        state_dir=str(settings.state_dir / "network"),
        instance=settings.dataplane.instance,
        dns_domain=settings.dataplane.dns_domain,
    )
    upstream = MetadataUpstream(
        client=httpx.AsyncClient(trust_env=False),
        base_url=f"http://127.0.0.1:{settings.cloud.port}/metadata",
        secret=metadata_secret,
    )
    return BridgeDataPlane(options, upstream)
