"""The components of a cloud, and what each is made of. `kilonova up` puts all of them into one process, `kilonova serve`
one of them; both build them here.

Services are imported where they are built: an agent loads no SQL, and no process loads what it does not run."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from kilonova.core.bus import open_bus
from kilonova.core.cache import open_cache
from kilonova.core.clock import Clock
from kilonova.core.config import ConfigError
from kilonova.core.faults import Faults
from kilonova.core.grants import Grants
from kilonova.core.notify import open_notifier
from kilonova.core.service import Core, Service
from kilonova.core.web.transport import Transport
from kilonova.identity.client import RemoteAuthenticator
from kilonova.identity.interface import IdentityEvents
from kilonova.identity.service_account import COMPUTE_USER, ServiceAccount, ServiceCredentials
from kilonova.precheck import policy_dir
from kilonova.settings import SecretSettings, Settings

if TYPE_CHECKING:
    from kilonova.compute.conductor.service import ConductorService
    from kilonova.compute.database import ComputeDatabase
    from kilonova.identity.app import IdentityService
    from kilonova.volume.database import VolumeDatabase

SERVICES = ("identity", "image", "network", "compute", "placement", "volume", "metadata", "ops", "ec2")


@dataclass(frozen=True)
class Deps:
    """What components are built from; pieces that several of them use in one process are made once. No other process of
    the cloud has this `name`. `alone`: it is the whole cloud."""

    core: Core
    authenticator: RemoteAuthenticator
    settings: Settings
    secrets: SecretSettings
    name: str
    alone: bool

    @cached_property
    def identity(self) -> IdentityService:
        from kilonova.identity.app import IdentityService

        return IdentityService(self.core, self.settings.identity)

    @cached_property
    def host_core(self) -> Core:
        """The core of what runs on a compute host, with the hosts' own account."""
        return dataclasses.replace(
            self.core,
            tokens=account_of(
                self.secrets, self.core.endpoints["identity"], self.core.transport, self.core.clock, on_host=True
            ),
        )

    @cached_property
    def database(self) -> ComputeDatabase:
        from kilonova.compute.database import ComputeDatabase

        return ComputeDatabase(self.core)

    @cached_property
    def volume_database(self) -> VolumeDatabase:
        from kilonova.volume.database import VolumeDatabase

        return VolumeDatabase(self.core)

    @cached_property
    def conductor(self) -> ConductorService:
        from kilonova.compute.conductor.service import ConductorService

        return ConductorService(self.core, self.settings.conductor, self.database.database, host=self.settings.host)

    @cached_property
    def revocations(self) -> Service:
        return RevocationListener(self)


class RevocationListener:
    """Drops from this process's token cache what identity revokes."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def start(self) -> None:
        await self.deps.authenticator.listen(self.deps.core.bus, host=self.deps.name)

    async def stop(self) -> None:
        await self.deps.core.bus.withdraw(IdentityEvents, host=self.deps.name)


def core_deps(
    settings: Settings, secrets: SecretSettings, transport: Transport, endpoints: dict[str, str], faults: Faults,
    *, name: str, alone: bool, on_host: bool = False,
) -> Deps:  # fmt: skip
    """`endpoints`: service → base URL, as `transport` reaches it; `on_host` of a process of a compute host. Raises
    ConfigError."""
    clock = Clock()
    try:
        bus, cache = (
            open_bus(settings.bus.url, settings.bus.host_users),
            open_cache(settings.cache.url, secrets.cache_secret),
        )
        notifier = open_notifier(settings.notifications, settings.bus.url)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    account = account_of(secrets, endpoints["identity"], transport, clock, on_host=on_host)
    authenticator = RemoteAuthenticator(endpoints["identity"], transport, account, clock, cache=cache)
    core = Core(
        clock=clock,
        bus=bus,
        faults=faults,
        state_dir=settings.state_dir,
        region=settings.cloud.region,
        endpoints=endpoints,
        identity_url=settings.public_endpoint("identity"),
        transport=transport,
        authenticator=authenticator,
        tokens=account,
        database_urls=settings.database.urls(),
        policy_dir=policy_dir(settings),
        cache=cache,
        notifier=notifier,
        grants=Grants(secrets.grant_secret),
        migrate=alone,
    )
    return Deps(core, authenticator, settings, secrets, name, alone)


def account_of(
    secrets: SecretSettings, identity_url: str, transport: Transport, clock: Clock, *, on_host: bool
) -> ServiceAccount:
    """The account that a process acts with. A host without one of its own has the control plane's, as clouds of older releases
    do."""
    credentials = ServiceCredentials(password=secrets.service_password)
    if on_host and secrets.compute_password:
        credentials = ServiceCredentials(password=secrets.compute_password, username=COMPUTE_USER)
    return ServiceAccount(identity_url, transport, credentials, clock)


def identity(deps: Deps) -> Iterator[Service]:
    yield deps.identity


def image(deps: Deps) -> Iterator[Service]:
    from kilonova.image.app import ImageService

    yield deps.revocations
    yield ImageService(deps.core, deps.settings.image, ceph=deps.settings.ceph)


def placement(deps: Deps) -> Iterator[Service]:
    from kilonova.placement.app import PlacementService

    yield deps.revocations
    yield PlacementService(deps.core)


def network_api(deps: Deps) -> Iterator[Service]:
    from kilonova.network.app import NetworkService

    yield deps.revocations
    yield NetworkService(deps.core, deps.settings.network, host=deps.name)


def compute_api(deps: Deps) -> Iterator[Service]:
    from kilonova.compute.app import ComputeApiService
    from kilonova.compute.console_urls import ConsoleUrls
    from kilonova.ops.app import OpsService

    yield deps.revocations
    yield deps.database
    consoles = ConsoleUrls(deps.settings.public_endpoint("console"), deps.settings.console)
    yield ComputeApiService(deps.core, deps.settings.compute, database=deps.database.database, consoles=consoles)
    yield OpsService(deps.core)


def ec2(deps: Deps) -> Iterator[Service]:
    from kilonova.ec2.app import Ec2Service

    yield deps.revocations
    yield Ec2Service(deps.core, deps.settings.ec2)


def metadata(deps: Deps) -> Iterator[Service]:
    from kilonova.compute.database import ComputeDatabase
    from kilonova.compute.metadata.app import MetadataService

    # by itself it reads, may be without a broker, and must not take over what others have to send
    database = deps.database if deps.alone else ComputeDatabase(deps.core, sends=False)
    yield database
    domain = deps.settings.agent.dhcp_domain
    yield MetadataService(deps.core, database.database, deps.secrets.metadata_secret, domain=domain)


def console_proxy(deps: Deps) -> Iterator[Service]:
    from kilonova.compute.console_proxy.app import ConsoleProxyService
    from kilonova.tls import verify_context

    settings = deps.settings
    yield ConsoleProxyService(
        deps.core, settings.console, settings.public_endpoint("console"), verify=verify_context(settings)
    )


def scheduler(deps: Deps) -> Iterator[Service]:
    from kilonova.compute.scheduler.service import SchedulerService

    yield deps.database
    yield SchedulerService(deps.core, deps.settings.scheduler, deps.database.database, host=deps.settings.host)


def conductor(deps: Deps) -> Iterator[Service]:
    yield deps.database
    yield deps.conductor


def reconciler(deps: Deps) -> Iterator[Service]:
    from kilonova.compute.conductor.service import ReconcilerService

    yield ReconcilerService(deps.conductor, alone=deps.alone)


def network_agent(deps: Deps) -> Iterator[Service]:
    from kilonova.hosts import data_plane_of, hosts_of
    from kilonova.network.agent.manager import NetworkAgent
    from kilonova.network.agent.metadata_signature import host_secret

    for host in hosts_of(deps.settings):
        secret = host_secret(deps.secrets.metadata_secret, host)
        plane = data_plane_of(deps.settings, deps.core.endpoints["metadata"], secret)
        yield NetworkAgent(deps.core, plane, host, deps.settings.network)


def compute(deps: Deps) -> Iterator[Service]:
    from kilonova.compute.agent.journal import Journal
    from kilonova.compute.agent.relay import Relay
    from kilonova.compute.agent.service import ComputeAgent
    from kilonova.compute.agent.transfers import DiskTransfers
    from kilonova.hosts import drivers_of, journal_path
    from kilonova.tls import certificate, verify_context

    core, settings, options = deps.host_core, deps.settings, deps.settings.agent
    # several agents of one machine may share its state directory
    named = {} if deps.alone else {"fake_file": f"fake-hypervisor-{settings.host}.jsonl"}
    if not deps.alone:
        options = msgspec.structs.replace(options, stop_grace=settings.serve.drain_timeout)
    journal = Journal(journal_path(core.state_dir, None if deps.alone else settings.host), core.clock)
    transfers = DiskTransfers(
        options.host_ip, options.transfer_port, certificate=certificate(settings), verify=verify_context(settings),
        clock=core.clock,
    )  # fmt: skip
    relay = Relay(
        options.host_ip, options.live_migration_port, certificate=certificate(settings), verify=verify_context(settings)
    )
    yield transfers
    yield relay
    for host, driver in drivers_of(settings, core.clock, **named).items():
        yield ComputeAgent(core, host, driver, journal, options, transfers, relay)


def volume_api(deps: Deps) -> Iterator[Service]:
    from kilonova.volume.app import VolumeService

    yield deps.revocations
    yield deps.volume_database
    yield VolumeService(deps.core, deps.settings.volume, database=deps.volume_database)


def volume_conductor(deps: Deps) -> Iterator[Service]:
    from kilonova.volume.conductor.service import VolumeConductorService

    yield deps.volume_database
    yield VolumeConductorService(
        deps.core, deps.settings.volume_conductor, deps.volume_database.database, host=deps.settings.host
    )


def volume_agent(deps: Deps) -> Iterator[Service]:
    from kilonova.hosts import backends_of
    from kilonova.volume.agent.service import VolumeAgent

    backends = backends_of(deps.settings, deps.core.clock)
    yield VolumeAgent(deps.core, deps.settings.host, backends, deps.settings.volume_agent)


Builder = Callable[[Deps], Iterator[Service]]


@dataclass(frozen=True)
class Component:
    """`builders` in the order of starting. `port` is the usual one; None: no HTTP. `module` is the bulk of its code, loaded
    before workers are forked. `needs`: what must answer before it starts and while it is ready, of bus and identity; its
    databases always must. `secrets` it can't do without, of each at least one. `on_host`: it runs on compute hosts, with their
    account."""

    name: str
    builders: tuple[Builder, ...]
    port: int | None = None
    module: str = ""
    needs: tuple[str, ...] = ("bus", "identity")
    secrets: tuple[tuple[str, ...], ...] = field(default=(("service_password",),))
    on_host: bool = False

    def build(self, deps: Deps) -> list[Service]:
        return [service for builder in self.builders for service in builder(deps)]


COMPONENTS: dict[str, Component] = {
    component.name: component
    for component in (
        Component("identity", (identity,), 5000, "kilonova.identity.app", needs=(), secrets=()),
        Component("image", (image,), 9292, "kilonova.image.app", needs=("identity",)),
        Component("placement", (placement,), 8778, "kilonova.placement.app", needs=("identity",)),
        Component("network-api", (network_api,), 9696, "kilonova.network.app"),
        Component("compute-api", (compute_api,), 8774, "kilonova.compute.app"),
        Component(
            "metadata", (metadata,), 8775, "kilonova.compute.metadata.app", needs=(), secrets=(("metadata_secret",),)
        ),
        Component(
            "console-proxy", (console_proxy,), 6080, "kilonova.compute.console_proxy.app", needs=("bus",), secrets=()
        ),
        Component("ec2", (ec2,), 8788, "kilonova.ec2.app", needs=("identity",)),
        Component("scheduler", (scheduler,)),
        Component("conductor", (conductor, reconciler)),
        Component("volume", (volume_api,), 8776, "kilonova.volume.app"),
        Component("volume-conductor", (volume_conductor,)),
        Component("volume-agent", (volume_agent,)),
        Component("network-agent", (network_agent,), needs=("bus",), secrets=(("metadata_secret",),), on_host=True),
        Component("compute", (compute,), secrets=(("compute_password", "service_password"),), on_host=True),
    )
}

ALL_IN_ONE: tuple[Builder, ...] = (
    identity, placement, image, network_api, compute_api, volume_api, ec2, metadata, console_proxy, scheduler,
    conductor, volume_conductor, network_agent, volume_agent, compute, reconciler,
)  # fmt: skip
"""In the order of starting; the reconciler last, when the hosts have reported."""


def all_in_one(deps: Deps) -> list[Service]:
    """Every service once."""
    return list(dict.fromkeys(service for builder in ALL_IN_ONE for service in builder(deps)))
