"""The route table of compute, and the service around it."""

from __future__ import annotations

from kilonova.compute import policies
from kilonova.compute.api.flavor_extras import FlavorExtras
from kilonova.compute.api.flavors import Flavors
from kilonova.compute.api.key_pairs import KeyPairs
from kilonova.compute.api.servers import Servers
from kilonova.compute.api.versions import Versions
from kilonova.compute.database import MIGRATIONS, open_database
from kilonova.compute.logic.doors import ImageDoor, NetworkDoor
from kilonova.compute.logic.flavors import FlavorLogic
from kilonova.compute.logic.key_pairs import KeyPairLogic
from kilonova.compute.logic.launch import LaunchLogic
from kilonova.compute.logic.launch_checks import LaunchChecks
from kilonova.compute.logic.server_actions import ActionLogic
from kilonova.compute.logic.servers import ServerLogic
from kilonova.compute.options import ComputeOptions
from kilonova.compute.tables import outbox
from kilonova.core.db import Database
from kilonova.core.db.migrate import upgrade
from kilonova.core.db.outbox import Outbox
from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.errors import compute_format
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.wire import Version
from kilonova.image.client import ImageClient
from kilonova.network.client import NetworkClient

MICROVERSIONS = Microversions("compute", Version(2, 1), Version(2, 104), "X-OpenStack-Nova-API-Version")
R = "os_compute_api"
V = "/v2.1"


def version_routes(versions: Versions) -> list[Route]:
    return [
        Route("GET", "/", versions.list, public=True),
        Route("GET", V, versions.current, public=True),
        Route("GET", "/v2", versions.legacy, public=True),
    ]


def flavor_routes(flavors: Flavors, extras: FlavorExtras) -> list[Route]:
    one, manage, specs = V + "/flavors/{flavor_id:str}", f"{R}:os-flavor-manage", f"{R}:os-flavor-extra-specs"
    spec = one + "/os-extra_specs/{key:str}"
    return [
        Route("GET", V + "/flavors", flavors.list, f"{R}:flavors"),
        Route("GET", V + "/flavors/detail", flavors.detail, f"{R}:flavors"),
        Route("POST", V + "/flavors", flavors.create, f"{manage}:create"),
        Route("GET", one, flavors.show, f"{R}:flavors"),
        Route("PUT", one, flavors.update, f"{manage}:update", since="2.55"),
        Route("DELETE", one, flavors.delete, f"{manage}:delete", 202),
        Route("GET", one + "/os-extra_specs", extras.specs, f"{specs}:index"),
        Route("POST", one + "/os-extra_specs", extras.create_specs, f"{specs}:create"),
        Route("GET", spec, extras.spec, f"{specs}:show"),
        Route("PUT", spec, extras.update_spec, f"{specs}:update"),
        Route("DELETE", spec, extras.delete_spec, f"{specs}:delete"),
        Route("GET", one + "/os-flavor-access", extras.access, f"{R}:os-flavor-access"),
        Route("POST", one + "/action", extras.action, f"{R}:os-flavor-access:add_tenant_access"),
    ]


def key_pair_routes(pairs: KeyPairs) -> list[Route]:
    every, one, rule = V + "/os-keypairs", V + "/os-keypairs/{name:str}", f"{R}:os-keypairs"
    return [
        Route("GET", every, pairs.list, f"{rule}:index"),
        Route("POST", every, pairs.create, f"{rule}:create"),
        Route("GET", one, pairs.show, f"{rule}:show"),
        Route("DELETE", one, pairs.delete, f"{rule}:delete"),
    ]


def server_routes(servers: Servers) -> list[Route]:
    every, one, rule = V + "/servers", V + "/servers/{server_id:str}", f"{R}:servers"
    return [
        Route("GET", every, servers.list, f"{rule}:index"),
        Route("POST", every, servers.create, f"{rule}:create", 202),
        Route("GET", every + "/detail", servers.detail, f"{rule}:detail"),
        Route("GET", one, servers.show, f"{rule}:show"),
        Route("PUT", one, servers.update, f"{rule}:update"),
        Route("DELETE", one, servers.delete, f"{rule}:delete", 204),
    ]


class ComputeApiService:
    """The compute API. `database` is shared with conductor and scheduler where they run in the same process; a database
    of its own is closed with the service. `images` and `networks` are other doors than the services' clients, for tests."""

    prefix = "/compute"

    def __init__(
        self, core: Core, options: ComputeOptions | None = None, *, database: Database | None = None,
        images: ImageDoor | None = None, networks: NetworkDoor | None = None,
    ) -> None:  # fmt: skip
        self.core, self.options = core, options or ComputeOptions()
        self._owns_database = database is None
        self.database = database or open_database(core)
        self.images, self.networks = images or ImageClient(core), networks or NetworkClient(core)
        self.flavors = FlavorLogic(self.database, core.clock)
        self.outbox: Outbox | None = None
        web = core.web("compute", compute_format, core.policy("compute", policies.RULES), microversions=MICROVERSIONS)
        self.routes = self._routes()
        self.app = build_app(web, self.routes)

    def _routes(self) -> list[Route]:
        database, clock, options = self.database, self.core.clock, self.options
        checks = LaunchChecks(database, options, self.images, self.networks)
        servers = ServerLogic(database, clock, options)
        launches = LaunchLogic(database, clock, options, checks)
        actions = ActionLogic(database, clock)
        return [
            *version_routes(Versions(MICROVERSIONS)),
            *flavor_routes(Flavors(self.flavors, clock), FlavorExtras(self.flavors)),
            *key_pair_routes(KeyPairs(KeyPairLogic(database, clock, options))),
            *server_routes(Servers(servers, launches, actions, clock, options)),
        ]

    async def start(self) -> None:
        """Migrate, seed, and send what an earlier process left in the outbox."""
        await upgrade(self.database, MIGRATIONS)
        if self.options.default_flavors:
            await self.flavors.seed()
        if self.database.outbox is None:
            self.outbox = Outbox(self.database, outbox, self.core.bus)
            await self.outbox.resume()

    async def stop(self) -> None:
        if self.outbox is not None:
            await self.outbox.close()
        if self._owns_database:
            await self.database.close()
