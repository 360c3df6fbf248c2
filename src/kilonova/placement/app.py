"""Placement as a service: its resources put together, its life."""

from __future__ import annotations

from pathlib import Path

from kilonova.core.service import Core
from kilonova.core.web.app import build_app
from kilonova.core.web.errors import placement_format
from kilonova.placement import policies
from kilonova.placement.resources import versions
from kilonova.placement.resources.allocations.handlers import Allocations
from kilonova.placement.resources.allocations.logic import AllocationLogic
from kilonova.placement.resources.allocations.routes import routes as allocation_routes
from kilonova.placement.resources.providers.handlers import Providers
from kilonova.placement.resources.providers.logic import ProviderLogic
from kilonova.placement.resources.providers.routes import routes as provider_routes
from kilonova.placement.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"


class PlacementService:
    prefix = "/placement"

    def __init__(self, core: Core) -> None:
        self.core = core
        self.database = database = core.database("placement", metadata)
        web = core.web(
            "placement",
            placement_format,
            core.policy("placement", policies.RULES),
            microversions=versions.MICROVERSIONS,
        )
        self.routes = [
            *versions.ROUTES,
            *provider_routes(Providers(ProviderLogic(database, core.clock))),
            *allocation_routes(Allocations(AllocationLogic(database, core.clock))),
        ]
        self.app = build_app(web, self.routes)

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)

    async def stop(self) -> None:
        await self.database.close()
