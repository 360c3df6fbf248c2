"""Tags of images over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.resource import Resource
from kilonova.image.fields import Field, check
from kilonova.image.resources.base import Deps
from kilonova.image.resources.images.access import fetch
from kilonova.image.resources.images.logic import ImageLogic
from kilonova.image.resources.images.routes import ONE as IMAGE

ONE = IMAGE + "/tags/{tag:str}"


class Tags:
    def __init__(self, logic: ImageLogic, fields: Mapping[str, Field]) -> None:
        self.logic, self.fields = logic, fields

    async def put(self, call: Call, image_id: str, tag: str) -> Reply:
        check(self.fields, {"tags": [tag]})
        image = await fetch(call, self.logic, image_id, "modify_image")
        await self.logic.update(
            image.id, lambda current: msgspec.structs.replace(current, tags=sorted({*current.tags, tag}))
        )
        return Reply()

    async def delete(self, call: Call, image_id: str, tag: str) -> Reply:
        image = await fetch(call, self.logic, image_id, "modify_image")
        if tag not in image.tags:
            raise core_errors.NotFound
        await self.logic.update(
            image.id, lambda current: msgspec.structs.replace(current, tags=[t for t in current.tags if t != tag])
        )
        return Reply()


def routes(deps: Deps) -> list[Route]:
    tags = Tags(deps.images, deps.fields)
    return [
        Route("PUT", ONE, tags.put, "modify_image", 204, summary="Add a tag to an image."),
        Route("DELETE", ONE, tags.delete, "modify_image", 204, summary="Remove a tag from an image."),
    ]


TAGS = Resource(routes)
