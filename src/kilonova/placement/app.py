"""Placement as a service: its resources put together, its start and stop."""

from __future__ import annotations

from pathlib import Path

from kilonova.core.service import Core
from kilonova.core.web.app import build_app
from kilonova.core.web.errors import placement_format
from kilonova.core.web.resource import Resource, rules_of
from kilonova.placement.resources.allocations.routes import ALLOCATIONS
from kilonova.placement.resources.base import Deps
from kilonova.placement.resources.providers.routes import PROVIDERS
from kilonova.placement.resources.versions import MICROVERSIONS, VERSIONS
from kilonova.placement.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"
RESOURCES: tuple[Resource[Deps], ...] = (VERSIONS, PROVIDERS, ALLOCATIONS)
RULES = rules_of(RESOURCES)
"""Policy rules, with upstream's names."""


class PlacementService:
    prefix = "/placement"

    def __init__(self, core: Core) -> None:
        self.core = core
        self.database = core.database("placement", metadata)
        deps = Deps(self.database, core.clock)
        self.routes = [route for resource in RESOURCES for route in resource.routes(deps)]
        web = core.web("placement", placement_format, core.policy("placement", RULES), microversions=MICROVERSIONS)
        self.app = build_app(web, self.routes)

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)

    async def stop(self) -> None:
        await self.database.close()
