"""The compute API as a service: its resources put together, its start and stop."""

from __future__ import annotations

import socket

import msgspec

from kilonova.compute.console_urls import ConsoleUrls
from kilonova.compute.database import ComputeDatabase
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.options import ComputeOptions
from kilonova.compute.peers import ImageCatalog, NetworkAccess, ProjectReader
from kilonova.compute.resources.aggregates.routes import AGGREGATES
from kilonova.compute.resources.availability_zones import AVAILABILITY_ZONES
from kilonova.compute.resources.base import Deps, Resource
from kilonova.compute.resources.extensions import EXTENSIONS
from kilonova.compute.resources.external_events import EXTERNAL_EVENTS
from kilonova.compute.resources.flavor_access import FLAVOR_ACCESS
from kilonova.compute.resources.flavor_extra_specs import FLAVOR_EXTRA_SPECS
from kilonova.compute.resources.flavors.logic import FlavorLogic
from kilonova.compute.resources.flavors.routes import FLAVORS
from kilonova.compute.resources.floating_ips.routes import FLOATING_IPS
from kilonova.compute.resources.hosts import HOSTS
from kilonova.compute.resources.hypervisors.routes import HYPERVISORS
from kilonova.compute.resources.images.routes import IMAGES
from kilonova.compute.resources.instance_actions.routes import INSTANCE_ACTIONS
from kilonova.compute.resources.key_pairs.routes import KEY_PAIRS
from kilonova.compute.resources.migrations import MIGRATIONS
from kilonova.compute.resources.networks import NETWORKS
from kilonova.compute.resources.planned import PLANNED
from kilonova.compute.resources.quotas.routes import QUOTAS
from kilonova.compute.resources.remote_consoles.routes import REMOTE_CONSOLES
from kilonova.compute.resources.security_groups.routes import SECURITY_GROUPS
from kilonova.compute.resources.server_actions.routes import SERVER_ACTIONS
from kilonova.compute.resources.server_diagnostics import SERVER_DIAGNOSTICS
from kilonova.compute.resources.server_groups.routes import SERVER_GROUPS
from kilonova.compute.resources.server_interfaces.routes import SERVER_INTERFACES
from kilonova.compute.resources.server_ips import SERVER_IPS
from kilonova.compute.resources.server_metadata import SERVER_METADATA
from kilonova.compute.resources.server_migrations import SERVER_MIGRATIONS
from kilonova.compute.resources.server_password import SERVER_PASSWORD
from kilonova.compute.resources.server_security_groups import SERVER_SECURITY_GROUPS
from kilonova.compute.resources.server_tags import SERVER_TAGS
from kilonova.compute.resources.server_topology import SERVER_TOPOLOGY
from kilonova.compute.resources.servers.routes import SERVERS
from kilonova.compute.resources.services.routes import SERVICES
from kilonova.compute.resources.usage.routes import USAGE
from kilonova.compute.resources.versions import MICROVERSIONS, VERSIONS
from kilonova.compute.resources.volume_attachments.routes import VOLUME_ATTACHMENTS
from kilonova.compute.resources.volumes.routes import VOLUMES
from kilonova.compute.volume_client import volume_client
from kilonova.compute.volumes import VolumeAccess
from kilonova.compute.web.legacy_urls import CURRENT, PREFIXES, LegacyUrls
from kilonova.compute.web.parameters import within_parameters
from kilonova.core import errors
from kilonova.core.db import Database
from kilonova.core.service import Core
from kilonova.core.web.app import build_app
from kilonova.core.web.errors import compute_format
from kilonova.core.web.project_urls import nouns_of, within_project
from kilonova.core.web.resource import rules_of
from kilonova.identity.client import IdentityClient
from kilonova.image.client import ImageClient
from kilonova.network.client import NetworkClient

RESOURCES: tuple[Resource, ...] = (
    VERSIONS,
    EXTENSIONS,
    FLAVORS,
    FLAVOR_EXTRA_SPECS,
    FLAVOR_ACCESS,
    KEY_PAIRS,
    SERVERS,
    SERVER_ACTIONS,
    SERVER_METADATA,
    SERVER_TAGS,
    SERVER_IPS,
    SERVER_INTERFACES,
    SERVER_SECURITY_GROUPS,
    SERVER_PASSWORD,
    SERVER_TOPOLOGY,
    SERVER_DIAGNOSTICS,
    REMOTE_CONSOLES,
    VOLUME_ATTACHMENTS,
    VOLUMES,
    INSTANCE_ACTIONS,
    EXTERNAL_EVENTS,
    SECURITY_GROUPS,
    FLOATING_IPS,
    NETWORKS,
    IMAGES,
    SERVER_GROUPS,
    SERVICES,
    AVAILABILITY_ZONES,
    HOSTS,
    HYPERVISORS,
    MIGRATIONS,
    SERVER_MIGRATIONS,
    AGGREGATES,
    QUOTAS,
    USAGE,
    PLANNED,
)
RULES = rules_of(RESOURCES)
PARAMETERS = {route: known for resource in RESOURCES for route, known in resource.parameters.items()}


class ComputeApiService:
    """The compute API. `database` is the ComputeDatabase's of this process, which others may share; without one the service
    has its own. `images`, `networks`, `projects` and `volumes` replace the services' clients in tests. `consoles` is where the
    console proxies are."""

    prefix = "/compute"
    roots = PREFIXES  # as http://HOST:8774/v1.1/PROJECT/servers of old

    def __init__(
        self, core: Core, options: ComputeOptions | None = None, *, database: Database | None = None,
        images: ImageCatalog | None = None, networks: NetworkAccess | None = None, projects: ProjectReader | None = None,
        volumes: VolumeAccess | None = None, consoles: ConsoleUrls | None = None,
    ) -> None:  # fmt: skip
        self.core, self.options = core, options or ComputeOptions()
        self._own: ComputeDatabase | None = None
        if database is None:
            self._own = ComputeDatabase(core)
            database = self._own.database
        self.database = database
        host, name = socket.gethostname(), self.options.instance_name_template
        deps = Deps(
            core=core, database=database, options=self.options, images=images or ImageClient(core),
            networks=networks or NetworkClient(core), projects=projects or IdentityClient(core),
            events=ServerEvents.of(core, "api", host, instance_name=name), volumes=volumes or volume_client(core),
            consoles=consoles or ConsoleUrls(),
        )  # fmt: skip
        self.routes = [route for resource in RESOURCES for route in resource.routes(deps)]
        policy = core.policy("compute", RULES, project_scope=True)
        web = core.web("compute", compute_format, policy, microversions=MICROVERSIONS)
        web = msgspec.structs.replace(web, other_method=errors.NotFound)  # as upstream, which has no 405
        guarded = [within_project(within_parameters(route, PARAMETERS)) for route in self.routes]
        self.app = LegacyUrls(build_app(web, guarded), nouns_of(self.routes, CURRENT))

    async def start(self) -> None:
        if self._own is not None:
            await self._own.start()
        if self.options.default_flavors:
            await FlavorLogic(self.database, self.core.clock).seed()

    async def stop(self) -> None:
        if self._own is not None:
            await self._own.stop()
