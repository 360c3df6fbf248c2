"""Routes of a server's volumes."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.resources.volume_attachments import schemas as shapes
from kilonova.compute.resources.volume_attachments.handlers import VolumeAttachments
from kilonova.compute.resources.volume_attachments.logic import AttachmentLogic
from kilonova.compute.resources.volume_attachments.policies import RULE, RULES
from kilonova.compute.web.parameters import known
from kilonova.core.web.app import Route

PARAMETERS = {"GET /servers/{server_id:str}/os-volume_attachments": known("2.75", "limit", "offset")}


def routes(deps: Deps) -> list[Route]:
    actions = ActionLogic(deps.database, deps.clock, deps.options, deps.events, deps.core.grants)
    servers = ServerLogic(deps.database, deps.clock, deps.options)
    volumes = VolumeAttachments(servers, AttachmentLogic(actions, deps.volumes))
    every = SERVER + "/os-volume_attachments"
    one = every + "/{volume_id:str}"
    return below_server(
        deps,
        Route(
            "GET", every, volumes.list, f"{RULE}:index", reply=shapes.VolumeAttachmentList,
            summary="List a server's volumes.",
        ),
        Route(
            "POST", every, volumes.attach, f"{RULE}:create", body=shapes.AttachBody, reply=shapes.AttachedBody | None,
            summary="Give a server a volume.",
        ),
        Route(
            "GET", one, volumes.show, f"{RULE}:show", reply=shapes.VolumeAttachmentBody,
            summary="Show a volume of a server.",
        ),
        Route(
            "PUT", one, volumes.change, f"{RULE}:update", 202, body=shapes.ChangeBody,
            summary="Set whether a volume is deleted with its server; for the volume service: swap it.",
        ),
        Route(
            "DELETE", one, volumes.detach, f"{RULE}:delete", 202, summary="Take a volume from a server.",
        ),
    )  # fmt: skip


VOLUME_ATTACHMENTS = Resource(routes, RULES, PARAMETERS)
