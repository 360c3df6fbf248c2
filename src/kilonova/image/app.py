"""Image as a service: its resources put together, its life."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from kilonova.core import log
from kilonova.core.ceph import CephOptions
from kilonova.core.periodic import Repeated
from kilonova.core.service import Core
from kilonova.core.web.app import build_app
from kilonova.core.web.errors import image_format
from kilonova.core.web.resource import Resource, rules_of
from kilonova.core.web.transport import ASGIApp
from kilonova.image.fields import image_fields
from kilonova.image.options import ImageOptions
from kilonova.image.resources.base import Deps
from kilonova.image.resources.discovery import DISCOVERY
from kilonova.image.resources.image_data.logic import DataLogic
from kilonova.image.resources.image_data.routes import IMAGE_DATA
from kilonova.image.resources.images.logic import ImageLogic
from kilonova.image.resources.images.routes import IMAGES
from kilonova.image.resources.members.routes import MEMBERS
from kilonova.image.resources.tags import TAGS
from kilonova.image.stores import make_store
from kilonova.image.stores.base import ImageStore, StoreFailed
from kilonova.image.tables import metadata

logger = log.get("image")
MIGRATIONS = Path(__file__).parent / "migrations"
RESOURCES: tuple[Resource[Deps], ...] = (DISCOVERY, IMAGES, IMAGE_DATA, TAGS, MEMBERS)
RECOVER_AGAIN = 60.0  # seconds; of what another process left when it was killed
RULES = rules_of(RESOURCES)
"""Policy rules, with upstream's names."""


def _never_without_id(app: ASGIApp) -> ASGIApp:
    """`/v2/images/` names an image whose id was forgotten; the router would take it for the list."""

    async def named(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/v2/images/":
            scope = scope | {"path": "/v2/images/-", "raw_path": b"/v2/images/-"}
        await app(scope, receive, send)

    return named


class ImageService:
    """`store` replaces the one that the options name."""

    prefix = "/image"

    def __init__(
        self, core: Core, options: ImageOptions | None = None, *, ceph: CephOptions | None = None,
        store: ImageStore | None = None,
    ) -> None:  # fmt: skip
        options = options or ImageOptions()
        folder = Path(options.store_dir or core.state_dir / "images")
        self.store = store or make_store(options.store, folder, ceph)
        self.core = core
        self.database = core.database("image", metadata)
        images = ImageLogic(self.database, core.clock, options, self.store)
        self._data = DataLogic(images, folder / "converting")
        self._recovery = Repeated("image recovery", core.clock, RECOVER_AGAIN, self._data.recover)
        deps = Deps(images, self._data, image_fields(options.disk_formats, options.container_formats))
        self.routes = [route for resource in RESOURCES for route in resource.routes(deps)]
        web = core.web("image", image_format, core.policy("image", RULES))
        self.app = _never_without_id(build_app(web, self.routes))

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)
        try:
            await self._data.recover()
        except StoreFailed as error:
            logger.error("image store failed: it is tried again", store=self.store.name, reason=str(error))
        self._recovery.start()

    async def stop(self) -> None:
        await self._recovery.stop()
        await self._data.close()
        await asyncio.to_thread(self.store.close)
        await self.database.close()
