"""How an image's policy is asked: what the caller may not see is not found, what it sees but may not do is forbidden."""

from __future__ import annotations

from kilonova.core.web.call import Call
from kilonova.image import errors
from kilonova.image.resources.images.logic import ImageLogic
from kilonova.image.resources.images.schemas import ImageRecord


async def fetch(call: Call, logic: ImageLogic, image_id: str, rule: str) -> ImageRecord:
    """The image, if the caller may do what `rule` stands for."""
    seen = await logic.see(call.ctx, image_id)
    if not call.allowed("get_image", seen.target):
        raise errors.ImageNotFound(image_id=image_id)
    if rule != "get_image":
        call.authorize(seen.target, rule)
    return seen.image


VISIBILITY_RULES = {"public": "publicize_image", "community": "communitize_image"}


def check_visibility(call: Call, visibility: str, owner: str | None) -> None:
    """Refuse callers that may not make an image public or community."""
    rule = VISIBILITY_RULES.get(visibility)
    if rule is not None:
        call.authorize({"project_id": owner or "", "owner": owner or "", "visibility": visibility}, rule)
