"""Attachments over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import present
from kilonova.volume.resources.attachments import schemas as shapes
from kilonova.volume.resources.attachments.logic import AttachmentLogic
from kilonova.volume.resources.base import owned
from kilonova.volume.resources.listing import Listing, next_page
from kilonova.volume.store.attachments import AttachmentRow
from kilonova.volume.times import shown

LIST = Listing(
    filters={
        "volume_id": "volume_id", "instance_id": "instance_id", "status": "status", "attach_status": "status", "id": "id",
        "project_id": "project_id",
    },
    sort={name: name for name in ("id", "created_at", "updated_at", "status", "volume_id", "instance_id")},
    like=(),
    operators=("project_id",),
)  # fmt: skip


class Attachments:
    def __init__(self, logic: AttachmentLogic) -> None:
        self.logic = logic

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.AttachmentCreate)).attachment
        volume = await self.logic.volumes.get(call.ctx, asked.volume_uuid)
        call.authorize(owned(volume))
        if volume.bootable and volume.multiattach and volume.status == "in-use":
            call.authorize(owned(volume), "volume:multiattach_bootable_volume")
        mode = None if asked.mode is UNSET else str(asked.mode)
        row = await self.logic.reserve(call.ctx, volume.id, present(asked.instance_uuid, None), mode)
        if asked.connector:
            row = await self._connected(call, row, asked.connector)
        return Reply(shapes.AttachmentBody(attachment=_view(row, secrets=True)))

    async def _connected(self, call: Call, row: AttachmentRow, connector: dict[str, Any]) -> AttachmentRow:
        """A new attachment that can't be connected is none."""
        try:
            return await self.logic.connect(call.ctx, row, connector)
        except Exception:
            await self.logic.undo(call.ctx, row)
            raise

    async def list(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        view = shapes.Attachments(attachments=[_brief(row) for row in await self.logic.list(call.ctx, query)])
        view.attachments_links = next_page(call, query, "/attachments", view.attachments) or UNSET
        return Reply(view)

    async def detail(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        rows = await self.logic.list(call.ctx, query)
        view = shapes.AttachmentsDetail(attachments=[_view(row, secrets=_service(call)) for row in rows])
        view.attachments_links = next_page(call, query, "/attachments/detail", view.attachments) or UNSET
        return Reply(view)

    async def show(self, call: Call, attachment_id: str) -> Reply:
        row = await self.logic.get(call.ctx, attachment_id)
        call.authorize(owned(row))
        return Reply(shapes.AttachmentBody(attachment=_view(row, secrets=_service(call))))

    async def update(self, call: Call, attachment_id: str) -> Reply:
        asked = (await call.decode(shapes.AttachmentUpdate)).attachment
        row = await self.logic.get(call.ctx, attachment_id)
        call.authorize(owned(row))
        row = await self.logic.connect(call.ctx, row, asked.connector)
        return Reply(shapes.AttachmentBody(attachment=_view(row, secrets=True)))

    async def complete(self, call: Call, attachment_id: str) -> Reply:
        await call.decode(shapes.Complete)
        row = await self.logic.get(call.ctx, attachment_id)
        call.authorize(owned(row))
        await self.logic.complete(call.ctx, row.id)
        return Reply()

    async def delete(self, call: Call, attachment_id: str) -> Reply:
        row = await self.logic.get(call.ctx, attachment_id)
        call.authorize(owned(row))
        left = await self.logic.delete(call.ctx, row)
        return Reply(shapes.Attachments(attachments=[_brief(item) for item in left]))


def _service(call: Call) -> bool:
    return "service" in call.ctx.roles


def _brief(row: AttachmentRow) -> shapes.AttachmentBrief:
    return shapes.AttachmentBrief(id=row.id, status=row.status, instance=row.instance_id, volume_id=row.volume_id)


def _view(row: AttachmentRow, *, secrets: bool) -> shapes.AttachmentView:
    info = msgspec.json.decode(row.connection_info) if row.connection_info and secrets else {}
    return shapes.AttachmentView(
        id=row.id, status=row.status, instance=row.instance_id, volume_id=row.volume_id, attach_mode=row.mode,
        attached_at=shown(row.attached_at) or "", detached_at="", connection_info=_flat(info),
    )  # fmt: skip


def _flat(info: dict[str, object]) -> dict[str, object]:
    """Here, and here alone, upstream's API has the data beside its type."""
    data = info.get("data")
    beside = {key: value for key, value in info.items() if key != "data"}
    return beside | data if isinstance(data, dict) else beside
