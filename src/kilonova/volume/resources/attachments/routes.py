"""Routes of attachments."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.volume.resources.attachments import schemas as shapes
from kilonova.volume.resources.attachments.handlers import Attachments
from kilonova.volume.resources.attachments.logic import AttachmentLogic
from kilonova.volume.resources.attachments.policies import RULES
from kilonova.volume.resources.base import Deps, Resource, V

EVERY, ONE, SINCE = f"{V}/attachments", f"{V}/attachments/{{attachment_id:str}}", "3.27"


def routes(deps: Deps) -> list[Route]:
    at = Attachments(AttachmentLogic(deps))
    body = shapes.AttachmentBody
    return [
        Route(
            "POST", EVERY, at.create, "volume:attachment_create", since=SINCE, body=shapes.AttachmentCreate, reply=body,
            summary="Reserve a volume for a server, and make it reachable where a connector is given.",
        ),
        Route("GET", EVERY, at.list, "volume:get_all", since=SINCE, reply=shapes.Attachments,
            summary="List attachments briefly."),
        Route(
            "GET", f"{EVERY}/detail", at.detail, "volume:get_all", since=SINCE, reply=shapes.AttachmentsDetail,
            summary="List attachments.",
        ),
        Route("GET", ONE, at.show, "volume:get", since=SINCE, reply=body, summary="Show an attachment."),
        Route(
            "PUT", ONE, at.update, "volume:attachment_update", since=SINCE, body=shapes.AttachmentUpdate, reply=body,
            summary="Make the volume reachable for a machine.",
        ),
        Route(
            "DELETE", ONE, at.delete, "volume:attachment_delete", since=SINCE, reply=shapes.Attachments,
            summary="Let go of the volume.",
        ),
        Route(
            "POST", f"{ONE}/action", at.complete, "volume:attachment_complete", 204, since="3.44", body=shapes.Complete,
            summary="Say that the server has the volume now.",
        ),
    ]  # fmt: skip


ATTACHMENTS = Resource(routes, RULES)
