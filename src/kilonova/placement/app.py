"""The route table of placement, and the service around it."""

from __future__ import annotations

from pathlib import Path

from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.errors import placement_format
from kilonova.core.web.microversion import Microversions
from kilonova.core.web.wire import Version
from kilonova.placement import policies
from kilonova.placement.resources.allocations.handlers import Allocations
from kilonova.placement.resources.allocations.logic import AllocationLogic
from kilonova.placement.resources.providers.handlers import Providers
from kilonova.placement.resources.providers.logic import ProviderLogic
from kilonova.placement.tables import metadata

MICROVERSIONS = Microversions("placement", Version(1, 0), Version(1, 39))
MIGRATIONS = Path(__file__).parent / "migrations"


def routes(providers: Providers, allocations: Allocations) -> list[Route]:
    p, a = "/resource_providers", "/allocations"
    rule = "placement:resource_providers"
    return [
        Route("GET", "/", root, public=True),
        Route("GET", p, providers.list, f"{rule}:list"),
        Route("POST", p, providers.create, f"{rule}:create"),
        Route("GET", p + "/{uuid:str}", providers.show, f"{rule}:show"),
        Route("PUT", p + "/{uuid:str}", providers.update, f"{rule}:update"),
        Route("DELETE", p + "/{uuid:str}", providers.delete, f"{rule}:delete", 204),
        Route("GET", p + "/{uuid:str}/inventories", providers.inventories, f"{rule}:inventories:list"),
        Route("PUT", p + "/{uuid:str}/inventories", providers.set_inventories, f"{rule}:inventories:update"),
        Route("GET", p + "/{uuid:str}/usages", providers.usages, f"{rule}:usages"),
        Route("GET", p + "/{uuid:str}/allocations", allocations.of_provider, f"{rule}:allocations:list"),
        Route("GET", a + "/{consumer:str}", allocations.show, "placement:allocations:list"),
        Route("PUT", a + "/{consumer:str}", allocations.replace, "placement:allocations:update", 204),
        Route("POST", a, allocations.replace_many, "placement:allocations:manage", 204),
        Route("DELETE", a + "/{consumer:str}", allocations.delete, "placement:allocations:delete", 204),
        Route("GET", "/usages", allocations.project_usages, "placement:usages", since="1.9"),
        # not upstream's: capacity and usage of all providers at once, for the scheduler's reasons
        Route("GET", "/provider_summaries", providers.summaries, f"{rule}:list"),
    ]


async def root(call: Call) -> Reply:
    version = {
        "id": "v1.0",
        "status": "CURRENT",
        "min_version": str(MICROVERSIONS.low),
        "max_version": str(MICROVERSIONS.high),
        "links": [{"rel": "self", "href": ""}],
    }
    return Reply({"versions": [version]})


class PlacementService:
    prefix = "/placement"

    def __init__(self, core: Core) -> None:
        self.core = core
        self.database = core.database("placement", metadata)
        web = core.web(
            "placement", placement_format, core.policy("placement", policies.RULES), microversions=MICROVERSIONS
        )
        providers = Providers(ProviderLogic(self.database, core.clock))
        self.routes = routes(providers, Allocations(AllocationLogic(self.database, core.clock)))
        self.app = build_app(web, self.routes)

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)

    async def stop(self) -> None:
        await self.database.close()
