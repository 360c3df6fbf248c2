"""The volume API as a service: its resources put together, its life."""

from __future__ import annotations

import socket

import msgspec

from kilonova.core import errors
from kilonova.core.service import Core
from kilonova.core.web.app import build_app
from kilonova.core.web.errors import compute_format
from kilonova.core.web.project_urls import ProjectUrls, within_project
from kilonova.core.web.resource import rules_of
from kilonova.image.client import ImageClient
from kilonova.volume.database import VolumeDatabase
from kilonova.volume.notifications import VolumeEvents
from kilonova.volume.options import VolumeOptions
from kilonova.volume.resources.attachments.routes import ATTACHMENTS
from kilonova.volume.resources.backups.routes import BACKUPS
from kilonova.volume.resources.base import Deps, Resource, V
from kilonova.volume.resources.default_types import DEFAULT_TYPES
from kilonova.volume.resources.encryption import ENCRYPTION
from kilonova.volume.resources.extensions import EXTENSIONS
from kilonova.volume.resources.hosts import HOSTS
from kilonova.volume.resources.items import SNAPSHOT_METADATA, VOLUME_METADATA
from kilonova.volume.resources.messages import MESSAGES_RESOURCE
from kilonova.volume.resources.qos import QOS_SPECS
from kilonova.volume.resources.quotas import QUOTAS
from kilonova.volume.resources.resource_filters import RESOURCE_FILTERS
from kilonova.volume.resources.services import SERVICES
from kilonova.volume.resources.snapshots.routes import SNAPSHOTS
from kilonova.volume.resources.transfers import TRANSFERS_RESOURCE
from kilonova.volume.resources.types.logic import TypeLogic
from kilonova.volume.resources.types.routes import TYPES
from kilonova.volume.resources.versions import MICROVERSIONS, VERSIONS
from kilonova.volume.resources.volume_actions.routes import VOLUME_ACTIONS
from kilonova.volume.resources.volumes.routes import VOLUMES

RESOURCES: tuple[Resource, ...] = (
    VERSIONS,
    EXTENSIONS,
    VOLUMES,
    VOLUME_METADATA,
    VOLUME_ACTIONS,
    SNAPSHOTS,
    SNAPSHOT_METADATA,
    TYPES,
    ATTACHMENTS,
    QUOTAS,
    SERVICES,
    MESSAGES_RESOURCE,
    BACKUPS,
    HOSTS,
    ENCRYPTION,
    QOS_SPECS,
    DEFAULT_TYPES,
    TRANSFERS_RESOURCE,
    RESOURCE_FILTERS,
)
RULES = rules_of(RESOURCES)
"""Policy rules, with upstream's names."""


class VolumeService:
    """The volume API. `database` is this process's VolumeDatabase, which others may share."""

    prefix = "/volume"

    def __init__(self, core: Core, options: VolumeOptions | None = None, *, database: VolumeDatabase) -> None:
        self.core, self.options = core, options or VolumeOptions()
        self.deps = Deps(
            core=core, database=database.database, options=self.options, images=ImageClient(core),
            events=VolumeEvents(core.notifier, core.clock, socket.gethostname()),
        )  # fmt: skip
        self.routes = [route for resource in RESOURCES for route in resource.routes(self.deps)]
        policy = core.policy("volume", RULES, project_scope=True)
        web = core.web("volume", compute_format, policy, microversions=MICROVERSIONS)
        web = msgspec.structs.replace(web, other_method=errors.NotFound)  # as upstream, which has no 405
        self.app = ProjectUrls(build_app(web, [within_project(route) for route in self.routes]), V)

    async def start(self) -> None:
        await TypeLogic(self.deps).seed()

    async def stop(self) -> None:
        return None
