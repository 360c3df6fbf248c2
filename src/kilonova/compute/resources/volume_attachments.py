"""The volumes that a server has."""

from __future__ import annotations

from typing import Annotated

from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.web.parameters import known
from kilonova.core.errors import NotFound
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View, versions

RULE = f"{R}:os-volumes-attachments"
RULES = {
    f"{RULE}:index": READER,
    f"{RULE}:show": READER,
    f"{RULE}:create": MEMBER,
    f"{RULE}:update": MEMBER,
    f"{RULE}:delete": MEMBER,
}
PARAMETERS = {"GET /servers/{server_id:str}/os-volume_attachments": known("2.75", "limit", "offset")}


class VolumeAttachmentNotFound(NotFound):
    template = "Instance {server_id} is not attached to volume {volume_id}"


class VolumeAttachment(View, kw_only=True, rename={"server_id": "serverId", "volume_id": "volumeId"}):
    id: Annotated[str, versions("2.1", "2.88")]
    server_id: str
    volume_id: str
    device: str | None
    tag: Annotated[str | None, versions("2.70")] = None
    delete_on_termination: Annotated[bool, versions("2.79")] = False


class VolumeAttachmentList(View, kw_only=True, rename={"items": "volumeAttachments"}):
    items: list[VolumeAttachment]


class VolumeAttachmentBody(View, kw_only=True, rename={"item": "volumeAttachment"}):
    item: VolumeAttachment


class VolumeAttachments:
    def __init__(self, servers: ServerLogic) -> None:
        self.servers = servers

    async def list(self, call: Call, server_id: str) -> Reply:
        row, extras = await self.servers.one(call.ctx, server_id)
        items = [
            VolumeAttachment(
                id=device.volume_id, server_id=row.uuid, volume_id=device.volume_id, device=device.device_name,
                tag=device.tag, delete_on_termination=device.delete_on_termination)
            for device in extras.devices.get(row.uuid, ())
        ]  # fmt: skip
        return Reply(VolumeAttachmentList(items=items))

    async def show(self, call: Call, server_id: str, volume_id: str) -> Reply:
        await self.servers.get(call.ctx, server_id)
        raise VolumeAttachmentNotFound(server_id=server_id, volume_id=volume_id)


def routes(deps: Deps) -> list[Route]:
    every = SERVER + "/os-volume_attachments"
    volumes = VolumeAttachments(ServerLogic(deps.database, deps.clock, deps.options))
    return below_server(
        deps,
        Route(
            "GET", every, volumes.list, f"{RULE}:index", reply=VolumeAttachmentList, summary="List a server's volumes."
        ),
        Route(
            "GET", every + "/{volume_id:str}", volumes.show, f"{RULE}:show", reply=VolumeAttachmentBody,
            summary="Show a volume of a server.",
        ),
    )  # fmt: skip


VOLUME_ATTACHMENTS = Resource(routes, RULES, PARAMETERS)
