"""The compute API as a service: its resources put together, its start and stop."""

from __future__ import annotations

import socket

from kilonova.compute.database import ComputeDatabase
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.options import ComputeOptions
from kilonova.compute.peers import ImageReader, NetworkAccess, ProjectReader
from kilonova.compute.resources import (
    availability_zones,
    extensions,
    external_events,
    flavor_access,
    flavor_extra_specs,
    hosts,
    migrations,
    planned,
    server_diagnostics,
    server_interfaces,
    server_ips,
    server_metadata,
    server_security_groups,
    server_tags,
    versions,
    volume_attachments,
)
from kilonova.compute.resources.aggregates import routes as aggregates
from kilonova.compute.resources.base import Deps
from kilonova.compute.resources.flavors import routes as flavors
from kilonova.compute.resources.flavors.logic import FlavorLogic
from kilonova.compute.resources.hypervisors import routes as hypervisors
from kilonova.compute.resources.instance_actions import routes as instance_actions
from kilonova.compute.resources.key_pairs import routes as key_pairs
from kilonova.compute.resources.quotas import routes as quotas
from kilonova.compute.resources.security_groups import routes as security_groups
from kilonova.compute.resources.server_actions import routes as server_actions
from kilonova.compute.resources.server_groups import routes as server_groups
from kilonova.compute.resources.servers import routes as servers
from kilonova.compute.resources.services import routes as services
from kilonova.compute.resources.usage import routes as usage
from kilonova.compute.web.legacy_urls import VERSIONS, LegacyUrls, nouns_of, within_project
from kilonova.compute.web.parameters import within_parameters
from kilonova.core.db import Database
from kilonova.core.service import Core
from kilonova.core.web.app import build_app
from kilonova.core.web.errors import compute_format
from kilonova.core.web.resource import rules_of
from kilonova.identity.client import IdentityClient
from kilonova.image.client import ImageClient
from kilonova.network.client import NetworkClient

RESOURCES = tuple(
    module.RESOURCE
    for module in (
        versions, extensions, flavors, flavor_extra_specs, flavor_access, key_pairs,
        servers, server_actions, server_metadata, server_tags, server_ips, server_interfaces, server_security_groups,
        server_diagnostics, volume_attachments, instance_actions, external_events, security_groups, server_groups,
        services, availability_zones, hosts, hypervisors, migrations, aggregates, quotas, usage,
        planned,
    )
)  # fmt: skip
RULES = rules_of(RESOURCES)
PARAMETERS = {route: known for resource in RESOURCES for route, known in resource.parameters.items()}


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
        host, name = socket.gethostname(), self.options.instance_name_template
        deps = Deps(
            core=core, database=database, options=self.options, images=images or ImageClient(core),
            networks=networks or NetworkClient(core), projects=projects or IdentityClient(core),
            events=ServerEvents.of(core, "api", host, instance_name=name),
        )  # fmt: skip
        self.routes = [route for resource in RESOURCES for route in resource.routes(deps)]
        policy = core.policy("compute", RULES, project_scope=True)
        web = core.web("compute", compute_format, policy, microversions=versions.MICROVERSIONS)
        guarded = [within_project(within_parameters(route, PARAMETERS)) for route in self.routes]
        self.app = LegacyUrls(build_app(web, guarded), nouns_of(self.routes))

    async def start(self) -> None:
        if self._own is not None:
            await self._own.start()
        if self.options.default_flavors:
            await FlavorLogic(self.database, self.core.clock).seed()

    async def stop(self) -> None:
        if self._own is not None:
            await self._own.stop()
