"""The compute API as a service: its parts put together, its life."""

from __future__ import annotations

import socket

from kilonova.compute import admin_routes, policies, routes
from kilonova.compute.actions.base import Api
from kilonova.compute.database import ComputeDatabase
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.options import ComputeOptions
from kilonova.compute.peers import ImageReader, NetworkAccess, ProjectReader
from kilonova.compute.resources.aggregates.handlers import Aggregates
from kilonova.compute.resources.aggregates.logic import AggregateLogic
from kilonova.compute.resources.extensions import Extensions
from kilonova.compute.resources.external_events.handlers import ExternalEvents
from kilonova.compute.resources.external_events.logic import ExternalEventLogic
from kilonova.compute.resources.flavors.extras import FlavorExtras
from kilonova.compute.resources.flavors.handlers import Flavors
from kilonova.compute.resources.flavors.logic import FlavorLogic
from kilonova.compute.resources.hypervisors.handlers import Hypervisors
from kilonova.compute.resources.hypervisors.logic import HypervisorLogic
from kilonova.compute.resources.instance_actions.handlers import History
from kilonova.compute.resources.instance_actions.logic import HistoryLogic
from kilonova.compute.resources.key_pairs.handlers import KeyPairs
from kilonova.compute.resources.key_pairs.logic import KeyPairLogic
from kilonova.compute.resources.migrations.handlers import Migrations
from kilonova.compute.resources.migrations.logic import MigrationLogic
from kilonova.compute.resources.planned import planned_routes
from kilonova.compute.resources.quotas.handlers import Quotas
from kilonova.compute.resources.quotas.logic import QuotaSetLogic
from kilonova.compute.resources.security_groups.handlers import SecurityGroups
from kilonova.compute.resources.security_groups.logic import SecurityGroupLogic
from kilonova.compute.resources.server_actions.console import ConsoleLogic
from kilonova.compute.resources.server_actions.evacuation import EvacuationLogic
from kilonova.compute.resources.server_actions.handlers import ServerActions
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.server_groups.handlers import ServerGroups
from kilonova.compute.resources.server_groups.logic import ServerGroupLogic
from kilonova.compute.resources.server_interfaces.handlers import ServerParts
from kilonova.compute.resources.server_metadata.handlers import ServerMetadata
from kilonova.compute.resources.server_metadata.logic import ItemLogic
from kilonova.compute.resources.server_security_groups.logic import ServerNetworkLogic
from kilonova.compute.resources.server_tags.handlers import ServerTags
from kilonova.compute.resources.servers.handlers import Servers
from kilonova.compute.resources.servers.launch.checks import LaunchChecks
from kilonova.compute.resources.servers.launch.logic import LaunchLogic
from kilonova.compute.resources.servers.launch.shared_images import SharedImages
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.resources.services.handlers import Services
from kilonova.compute.resources.services.logic import ServiceLogic
from kilonova.compute.resources.usage.handlers import Usage
from kilonova.compute.resources.usage.logic import UsageLogic
from kilonova.compute.resources.versions.handlers import Versions
from kilonova.compute.resources.versions.legacy_login import LegacyLogin
from kilonova.compute.web.common import of_server
from kilonova.compute.web.legacy_urls import VERSIONS, LegacyUrls, nouns_of, within_project
from kilonova.compute.web.parameters import within_parameters
from kilonova.core.db import Database
from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.errors import compute_format
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.wire import Version
from kilonova.identity.client import HeaderLogin, IdentityClient
from kilonova.image.client import ImageClient
from kilonova.network.client import NetworkClient

MICROVERSIONS = Microversions("compute", Version(2, 1), Version(2, 104), "X-OpenStack-Nova-API-Version")


class ComputeApiService:
    """The compute API. `database` is the ComputeDatabase's of this process, which others may share; without one the service
    has its own. `images`, `networks` and `projects` replace the services' clients in tests."""

    prefix = "/compute"
    roots = VERSIONS  # as http://HOST:8774/v1.1/PROJECT/servers of old

    def __init__(
        self, core: Core, options: ComputeOptions | None = None, *, database: Database | None = None,
        images: ImageReader | None = None, networks: NetworkAccess | None = None, projects: ProjectReader | None = None,
    ) -> None:  # fmt: skip
        self.core, self.options = core, options or ComputeOptions()
        self._own: ComputeDatabase | None = None
        if database is None:
            self._own = ComputeDatabase(core)
            database = self._own.database
        self.database = database
        self.images, self.networks = images or ImageClient(core), networks or NetworkClient(core)
        self.projects = projects or IdentityClient(core)
        self.flavors = FlavorLogic(self.database, core.clock, self.projects)
        policy = core.policy("compute", policies.RULES, project_scope=True)
        web = core.web("compute", compute_format, policy, microversions=MICROVERSIONS)
        self.routes = self._routes()
        guarded = [within_project(within_parameters(route)) for route in self.routes]
        self.app = LegacyUrls(build_app(web, guarded), nouns_of(self.routes))

    def _routes(self) -> list[Route]:
        return [
            *routes.version_routes(Versions(MICROVERSIONS), LegacyLogin(HeaderLogin(self.core))),
            *routes.flavor_routes(Flavors(self.flavors, self.core.clock), FlavorExtras(self.flavors)),
            *self._server_routes(),
            *self._admin_routes(),
        ]

    def _server_routes(self) -> list[Route]:
        database, clock, options, bus = self.database, self.core.clock, self.options, self.core.bus
        servers, items = ServerLogic(database, clock, options), ItemLogic(database, clock, options)
        checks = LaunchChecks(database, options, SharedImages(self.images), self.networks)
        launches = LaunchLogic(database, clock, options, checks, self.core.faults)
        events = ServerEvents.of(self.core, "api", socket.gethostname(), instance_name=options.instance_name_template)
        actions = ActionLogic(database, clock, options, events, self.core.grants)
        network = ServerNetworkLogic(database, clock, self.networks)
        console = ConsoleLogic(database, bus, options.console_bytes)
        parts, history = ServerParts(servers, network), History(HistoryLogic(database))
        beside = [
            *routes.server_item_routes(ServerMetadata(servers, items), ServerTags(servers, items)),
            *routes.server_part_routes(parts, history, ExternalEvents(ExternalEventLogic(database, bus))),
            *planned_routes(routes.SERVER),
        ]
        return [
            *routes.server_routes(
                Servers(servers, launches, actions, clock, options),
                ServerActions(
                    servers, Api(actions=actions, network=network, console=console, evacuation=EvacuationLogic(actions))
                ),
            ),
            *(of_server(route, servers) for route in beside),
        ]

    def _admin_routes(self) -> list[Route]:
        database, clock, options = self.database, self.core.clock, self.options
        services, hypervisors = ServiceLogic(database, clock, options), HypervisorLogic(database, clock, options)
        groups = ServerGroups(ServerGroupLogic(database, clock, options))
        return [
            *routes.security_group_routes(SecurityGroups(SecurityGroupLogic(self.networks))),
            *routes.key_pair_routes(KeyPairs(KeyPairLogic(database, clock, options))),
            *admin_routes.host_routes(
                Services(services), Hypervisors(hypervisors), Migrations(MigrationLogic(database))
            ),
            *admin_routes.quota_routes(
                Quotas(QuotaSetLogic(database, options, self.projects)),
                Usage(UsageLogic(database, clock)),
                Extensions(),
            ),
            *admin_routes.group_routes(Aggregates(AggregateLogic(database, clock)), groups),
        ]

    async def start(self) -> None:
        if self._own is not None:
            await self._own.start()
        if self.options.default_flavors:
            await self.flavors.seed()

    async def stop(self) -> None:
        if self._own is not None:
            await self._own.stop()
