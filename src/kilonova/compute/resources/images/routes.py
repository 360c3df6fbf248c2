"""Routes of images for clients that still ask compute for them: until 2.35, their metadata until 2.38."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.images import schemas as shapes
from kilonova.compute.resources.images.handlers import FILTERS, Images
from kilonova.compute.resources.images.policies import READ, RULES, WRITE
from kilonova.compute.resources.server_metadata import ItemBody, ItemIn, MetadataBody, MetadataIn
from kilonova.compute.web.parameters import PAGE, known
from kilonova.core.web.app import Route

LAST, LAST_METADATA = "2.35", "2.38"
LISTED = known("2.75", *PAGE, *FILTERS)


def routes(deps: Deps) -> list[Route]:
    images = Images(deps.images, deps.core.endpoints.get("image", "") + "/v2")
    every, one = V + "/images", V + "/images/{image_id:str}"
    metadata, item = one + "/metadata", one + "/metadata/{key:str}"
    return [
        Route("GET", every, images.brief, READ, until=LAST, reply=shapes.ImageBriefs, summary="List images."),
        Route(
            "GET", every + "/detail", images.detail, READ, until=LAST, reply=shapes.ImageDetails,
            summary="List images with details.",
        ),
        Route("GET", one, images.show, READ, until=LAST, reply=shapes.ImageBody, summary="Show an image."),
        Route("DELETE", one, images.delete, WRITE, 204, until=LAST, summary="Delete an image."),
        Route(
            "GET", metadata, images.metadata, READ, until=LAST_METADATA, reply=MetadataBody,
            summary="List an image's properties.",
        ),
        Route(
            "POST", metadata, images.add, WRITE, until=LAST_METADATA, body=MetadataIn, reply=MetadataBody,
            summary="Add to an image's properties, or replace some.",
        ),
        Route(
            "PUT", metadata, images.replace, WRITE, until=LAST_METADATA, body=MetadataIn, reply=MetadataBody,
            summary="Replace an image's properties.",
        ),
        Route(
            "GET", item, images.item, READ, until=LAST_METADATA, reply=ItemBody, summary="Show a property of an image.",
        ),
        Route(
            "PUT", item, images.put, WRITE, until=LAST_METADATA, body=ItemIn, reply=ItemBody,
            summary="Set a property of an image.",
        ),
        Route("DELETE", item, images.remove, WRITE, 204, until=LAST_METADATA, summary="Delete a property of an image."),
    ]  # fmt: skip


IMAGES = Resource(routes, RULES, {"GET /images": LISTED, "GET /images/detail": LISTED})
