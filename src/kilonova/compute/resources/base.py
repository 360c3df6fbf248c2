"""What a resource of the compute API is, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from kilonova.compute.console_urls import ConsoleUrls
from kilonova.compute.notifications import ServerEvents
from kilonova.compute.options import ComputeOptions
from kilonova.compute.peers import ImageCatalog, NetworkAccess, ProjectReader
from kilonova.compute.volumes import VolumeAccess
from kilonova.compute.web.legacy_urls import CURRENT
from kilonova.compute.web.parameters import Parameters
from kilonova.core.clock import Clock
from kilonova.core.db import Database
from kilonova.core.service import Core
from kilonova.core.web import resource

R, V = "os_compute_api", CURRENT
"""What the names of most rules and all paths begin with."""


@dataclass(frozen=True, kw_only=True)
class Deps:
    """What resources are made of. `events` are the notifications that the API sends; `volumes` is None in a cloud without a
    volume service."""

    core: Core
    database: Database
    options: ComputeOptions
    images: ImageCatalog
    networks: NetworkAccess
    projects: ProjectReader
    events: ServerEvents
    volumes: VolumeAccess | None = None
    consoles: ConsoleUrls

    @property
    def clock(self) -> Clock:
        return self.core.clock


@dataclass(frozen=True)
class Resource(resource.Resource[Deps]):
    """`parameters` are the query parameters of its routes, as `GET /flavors` → Known; a GET that is not
    there has none."""

    parameters: Parameters = field(default_factory=dict)
