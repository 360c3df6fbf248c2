"""Routes of images' data."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.resource import Resource
from kilonova.image.resources.base import Deps
from kilonova.image.resources.image_data.handlers import Data
from kilonova.image.resources.image_data.policies import RULES
from kilonova.image.resources.images.routes import ONE


def routes(deps: Deps) -> list[Route]:
    data = Data(deps.data)
    return [
        Route(
            "PUT", ONE + "/file", data.upload, "upload_image", 204, max_body=None, body=bytes,
            summary="Upload an image's data; the image is active afterwards.",
        ),
        Route(
            "GET", ONE + "/file", data.download, "download_image", reply=bytes | None,
            summary="Download an image's data, or a range of it; status 204 while there are none.",
        ),
    ]  # fmt: skip


IMAGE_DATA = Resource(routes, RULES)
