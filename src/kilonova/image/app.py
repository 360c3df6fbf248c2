"""The route table of image, and the service around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kilonova.core.service import Core
from kilonova.core.web.app import Route, build_app
from kilonova.core.web.errors import image_format
from kilonova.core.web.transport import ASGIApp
from kilonova.image import policies
from kilonova.image.fields import image_fields
from kilonova.image.options import ImageOptions
from kilonova.image.resources.discovery import Discovery
from kilonova.image.resources.image_data.handlers import Data
from kilonova.image.resources.image_data.logic import DataLogic
from kilonova.image.resources.images.handlers import Images
from kilonova.image.resources.images.logic import ImageLogic
from kilonova.image.resources.members.handlers import Members
from kilonova.image.resources.members.logic import MemberLogic
from kilonova.image.resources.tags import Tags
from kilonova.image.stores import make_store
from kilonova.image.stores.base import ImageStore
from kilonova.image.tables import metadata

MIGRATIONS = Path(__file__).parent / "migrations"


def routes(images: Images, data: Data, members: Members, tags: Tags, discovery: Discovery) -> list[Route]:
    i, m = "/v2/images", "/v2/images/{image_id:str}/members"
    one = i + "/{image_id:str}"
    return [
        Route("GET", "/", discovery.root, public=True),
        Route("GET", "/versions", discovery.versions, public=True),
        Route("GET", i, images.list, "get_images"),
        Route("POST", i, images.create, "add_image", 201),
        Route("GET", one, images.show, "get_image"),
        Route("PATCH", one, images.update, "modify_image"),
        Route("DELETE", one, images.delete, "delete_image", 204),
        Route("POST", one + "/actions/deactivate", images.deactivate, "deactivate", 204),
        Route("POST", one + "/actions/reactivate", images.reactivate, "reactivate", 204),
        Route("PUT", one + "/file", data.upload, "upload_image", 204, max_body=None),
        Route("GET", one + "/file", data.download, "download_image"),
        Route("PUT", one + "/tags/{tag:str}", tags.put, "modify_image", 204),
        Route("DELETE", one + "/tags/{tag:str}", tags.delete, "modify_image", 204),
        Route("GET", m, members.list, "get_members"),
        Route("POST", m, members.create, "add_member"),
        Route("GET", m + "/{member:str}", members.show, "get_member"),
        # whether it is the caller's own membership is known only later: then modify_member decides
        Route("PUT", m + "/{member:str}", members.update, "get_member"),
        Route("DELETE", m + "/{member:str}", members.delete, "delete_member", 204),
        Route("GET", "/v2/schemas/image", discovery.image_schema, "default"),
        Route("GET", "/v2/schemas/images", discovery.images_schema, "default"),
        Route("GET", "/v2/schemas/member", discovery.member_schema, "default"),
        Route("GET", "/v2/schemas/members", discovery.members_schema, "default"),
        Route("GET", "/v2/info/import", discovery.import_info, "default"),
        Route("GET", "/v2/info/stores", discovery.stores, "default"),
        Route("GET", "/v2/info/usage", discovery.usage, "default"),
    ]


def _never_without_id(app: ASGIApp) -> ASGIApp:
    """`/v2/images/` names an image whose id was forgotten; the router would take it for the list."""

    async def named(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/v2/images/":
            scope = scope | {"path": "/v2/images/-", "raw_path": b"/v2/images/-"}
        await app(scope, receive, send)

    return named


class ImageService:
    """`store` stands in for the one that the options name."""

    prefix = "/image"

    def __init__(self, core: Core, options: ImageOptions | None = None, *, store: ImageStore | None = None) -> None:
        options = options or ImageOptions()
        self.store = store or make_store(options.store, Path(options.store_dir or core.state_dir / "images"))
        self.core = core
        self.database = core.database("image", metadata)
        images = ImageLogic(self.database, core.clock, options, self.store)
        self._data = DataLogic(images)
        fields = image_fields(options.disk_formats, options.container_formats)
        self.routes = routes(
            Images(images, fields),
            Data(self._data),
            Members(MemberLogic(images)),
            Tags(images, fields),
            Discovery(fields, self.store.name, images.quotas),
        )
        web = core.web("image", image_format, core.policy("image", policies.RULES))
        self.app = _never_without_id(build_app(web, self.routes))

    async def start(self) -> None:
        await self.core.settle(self.database, MIGRATIONS)
        await self._data.recover()

    async def stop(self) -> None:
        await self._data.close()
        await self.database.close()
