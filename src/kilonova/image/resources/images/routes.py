"""Routes of images."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.resource import Resource
from kilonova.image.resources.base import Deps
from kilonova.image.resources.images import schemas as shapes
from kilonova.image.resources.images.handlers import Images
from kilonova.image.resources.images.policies import RULES

ALL, ONE = "/v2/images", "/v2/images/{image_id:str}"


def routes(deps: Deps) -> list[Route]:
    images = Images(deps.images, deps.fields)
    return [
        Route("GET", ALL, images.list, "get_images", reply=shapes.ImageList, summary="List images."),
        Route(
            "POST", ALL, images.create, "add_image", 201, body=shapes.ImageCreate, reply=shapes.ImageView,
            summary="Create an image without data.",
        ),
        Route("GET", ONE, images.show, "get_image", reply=shapes.ImageView, summary="Show an image."),
        Route(
            "GET", ONE + "/tasks", images.tasks, "get_image", reply=shapes.TaskList, summary="List an image's import tasks.",
        ),
        Route(
            "PATCH", ONE, images.update, "modify_image", body=shapes.Patch | shapes.OldPatch, reply=shapes.ImageView,
            summary="Change attributes and properties of an image by a JSON patch.",
        ),
        Route("DELETE", ONE, images.delete, "delete_image", 204, summary="Delete an image and its data."),
        Route(
            "POST", ONE + "/actions/deactivate", images.deactivate, "deactivate", 204,
            summary="Deactivate an image: admins alone may download its data.",
        ),
        Route(
            "POST", ONE + "/actions/reactivate", images.reactivate, "reactivate", 204,
            summary="Reactivate a deactivated image.",
        ),
    ]  # fmt: skip


IMAGES = Resource(routes, RULES)
