"""Images over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from kilonova.core.web.call import Call, Reply
from kilonova.image import errors
from kilonova.image.fields import Field, check
from kilonova.image.resources.images import patch
from kilonova.image.resources.images import schemas as shapes
from kilonova.image.resources.images.access import check_visibility, fetch
from kilonova.image.resources.images.logic import ImageLogic
from kilonova.image.resources.images.query import read_query
from kilonova.image.resources.images.schemas import OLD_PATCH_TYPE, PATCH_TYPE, ImageRecord, flat

PATCH_TYPES = f"{OLD_PATCH_TYPE}, {PATCH_TYPE}"


class Images:
    def __init__(self, logic: ImageLogic, fields: Mapping[str, Field]) -> None:
        self.logic, self.fields = logic, fields

    def _view(self, call: Call, image: ImageRecord) -> dict[str, Any]:
        if image.status not in ("active", "deactivated"):
            return flat(image, None)
        store, options = self.logic.data, self.logic.options
        shown = flat(image, store.name)
        if not (options.show_image_direct_url or options.show_multiple_locations):
            return shown
        url = store.location(UUID(image.id))
        if options.show_multiple_locations and call.allowed("get_image_location", _target(image, "")):
            shown["locations"] = [{"url": url, "metadata": {"store": store.name}}] if url else []
        return shown | {"direct_url": url} if options.show_image_direct_url and url else shown

    async def list(self, call: Call) -> Reply:
        options = self.logic.options
        query = read_query(call, options.limit_default, options.limit_max)
        found = await self.logic.list(call.ctx, query)
        member = call.ctx.project_id or ""
        shown = [image for image in found if call.allowed("get_image", _target(image, member))]
        kept = [(k, v) for k, v in call.query.multi_items() if k != "marker"]
        body: dict[str, Any] = {"images": [self._view(call, image) for image in shown], "schema": "/v2/schemas/images"}
        body["first"] = "/v2/images" + (f"?{urlencode(kept)}" if kept else "")
        if found and len(found) == query.limit:
            body["next"] = f"/v2/images?{urlencode([*kept, ('marker', found[-1].id)])}"
        return Reply(body)

    async def create(self, call: Call) -> Reply:
        body = await call.decode(dict[str, Any])
        call.reads(shapes.ImageCreate)
        for name in body:
            if name != "id":
                patch.check_name(name)
        check(self.fields, body)
        owner = body.get("owner", call.ctx.project_id)
        target = {"project_id": owner or "", "tenant_id": owner or "", "owner": owner or "", "visibility": "shared"}
        if not call.allowed("add_image", target) and owner != call.ctx.project_id:
            raise errors.ForeignOwner(owner=owner)
        call.authorize(target, "add_image")
        check_visibility(call, body.get("visibility", "shared"), owner)
        image = await self.logic.create(owner, body)
        return Reply(self._view(call, image), headers={"Location": f"{call.base_url}/v2/images/{image.id}"})

    async def show(self, call: Call, image_id: str) -> Reply:
        return Reply(self._view(call, await fetch(call, self.logic, image_id, "get_image")))

    async def tasks(self, call: Call, image_id: str) -> Reply:
        """There are none: data goes into an image at once, without a task."""
        await fetch(call, self.logic, image_id, "get_image")
        return Reply(shapes.TaskList(tasks=[]))

    async def update(self, call: Call, image_id: str) -> Reply:
        kind = call.headers.get("content-type", "").split(";")[0].strip()
        if kind not in (PATCH_TYPE, OLD_PATCH_TYPE):
            raise errors.NotAPatch(allowed=PATCH_TYPES, headers={"Accept-Patch": PATCH_TYPES})
        old = kind == OLD_PATCH_TYPE
        changes = patch.parse(await call.decode(object), self.fields, old=old)
        call.reads(shapes.OldPatch if old else shapes.Patch)
        image = await fetch(call, self.logic, image_id, "modify_image")
        for change in changes:
            if change.name == "visibility":
                check_visibility(call, str(change.value), image.owner)
        changed = await self.logic.update(
            image.id, lambda current: patch.apply(current, changes, is_admin=call.ctx.is_admin)
        )
        return Reply(self._view(call, changed))

    async def delete(self, call: Call, image_id: str) -> Reply:
        await self.logic.delete(await fetch(call, self.logic, image_id, "delete_image"))
        return Reply()

    async def deactivate(self, call: Call, image_id: str) -> Reply:
        await self.logic.act(await fetch(call, self.logic, image_id, "deactivate"), "deactivate")
        return Reply()

    async def reactivate(self, call: Call, image_id: str) -> Reply:
        await self.logic.act(await fetch(call, self.logic, image_id, "reactivate"), "reactivate")
        return Reply()


def _target(image: ImageRecord, member: str) -> dict[str, Any]:
    owner = image.owner or ""
    return {"project_id": owner, "owner": owner, "visibility": image.visibility, "member_id": member}
