"""A server's volumes over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from msgspec import UnsetType

from kilonova.compute.device_names import MOST
from kilonova.compute.resources.servers.logic import ServerLogic
from kilonova.compute.resources.volume_attachments import schemas as shapes
from kilonova.compute.resources.volume_attachments.errors import VolumeAttachmentNotFound
from kilonova.compute.resources.volume_attachments.logic import AttachmentLogic, AttachWish
from kilonova.compute.resources.volume_attachments.policies import SWAP
from kilonova.compute.store.block_devices import VolumeRow
from kilonova.compute.web.fields import truth
from kilonova.compute.web.query import at_least
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import read_page


class VolumeAttachments:
    def __init__(self, servers: ServerLogic, logic: AttachmentLogic) -> None:
        self.servers, self.logic = servers, logic

    async def list(self, call: Call, server_id: str) -> Reply:
        page, offset = read_page(call, maximum=MOST), call.query.get("offset") or "0"
        first = int(offset[:9]) if offset.isdecimal() and offset.isascii() else 0
        found = (await self._devices(call, server_id))[first : first + page.limit]
        items = [_view(device) for device in found]
        return Reply(shapes.VolumeAttachmentList(items=items))

    async def show(self, call: Call, server_id: str, volume_id: str) -> Reply:
        for device in await self._devices(call, server_id):
            if device.volume_id == volume_id:
                return Reply(shapes.VolumeAttachmentBody(item=_view(device)))
        raise VolumeAttachmentNotFound(server_id=server_id, volume_id=volume_id)

    async def attach(self, call: Call, server_id: str) -> Reply:
        asked = (await call.decode(shapes.AttachBody)).item
        wish = AttachWish(
            volume_id=str(uuid.UUID(asked.volume_id)), device=asked.device, tag=asked.tag,
            delete_on_termination=truth(asked.delete_on_termination), multiattach=at_least(call, "2.60"),
            while_shelved=at_least(call, "2.20"),
        )  # fmt: skip
        name = await self.logic.attach(call.ctx, server_id, wish)
        if at_least(call, "2.101"):
            return Reply(status=202)
        item = shapes.Attached(
            id=wish.volume_id, server_id=server_id, volume_id=wish.volume_id, device=name, tag=wish.tag,
            delete_on_termination=wish.delete_on_termination,
        )  # fmt: skip
        return Reply(shapes.AttachedBody(item=item), status=200)

    async def change(self, call: Call, server_id: str, volume_id: str) -> Reply:
        """Until 2.84 it swaps the volume; since then it does so where the body names another one."""
        asked = (await call.decode(shapes.ChangeBody)).item
        swaps = not at_least(call, "2.85") or asked.volume_id != volume_id
        if swaps:
            call.authorize({}, SWAP)
        if at_least(call, "2.85"):
            await self.logic.keep(call.ctx, server_id, volume_id, _change(asked))
        if swaps:
            await self.logic.swap(call.ctx, server_id, volume_id)
        return Reply()

    async def detach(self, call: Call, server_id: str, volume_id: str) -> Reply:
        await self.logic.detach(call.ctx, server_id, volume_id, while_shelved=at_least(call, "2.20"))
        return Reply()

    async def _devices(self, call: Call, server_id: str) -> Sequence[VolumeRow]:
        """Since 2.89 only those whose attachment is known."""
        row, extras = await self.servers.one(call.ctx, server_id)
        found = extras.devices.get(row.uuid, [])
        return [one for one in found if one.attachment_id is not None] if at_least(call, "2.89") else found


def _view(device: VolumeRow) -> shapes.VolumeAttachment:
    view = shapes.VolumeAttachment(
        id=device.volume_id, server_id=device.server_uuid, volume_id=device.volume_id, tag=device.tag,
        delete_on_termination=device.delete_on_termination, attachment_id=device.attachment_id, bdm_uuid=device.uuid,
    )  # fmt: skip
    if device.device_name:
        view.device = device.device_name
    return view


def _change(asked: shapes.ChangeIn) -> dict[str, Any]:
    given = {"id": asked.id, "serverId": asked.server_id, "device": asked.device, "tag": asked.tag}
    change: dict[str, Any] = {name: value for name, value in given.items() if not isinstance(value, UnsetType)}
    if not isinstance(asked.delete_on_termination, UnsetType):
        change["delete_on_termination"] = truth(asked.delete_on_termination)
    return change
