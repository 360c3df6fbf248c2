"""Volumes over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.core.errors import BadRequest
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import present
from kilonova.volume.fields import stripped, truth_of
from kilonova.volume.resources.base import at_least, owned
from kilonova.volume.resources.listing import next_page
from kilonova.volume.resources.volumes import schemas as shapes
from kilonova.volume.resources.volumes import views
from kilonova.volume.resources.volumes.creation import Creation
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.resources.volumes.policies import ORDER
from kilonova.volume.resources.volumes.query import LIST

HINTS = ("same_host", "different_host")


class Volumes:
    def __init__(self, logic: VolumeLogic, creation: Creation) -> None:
        self.logic, self.creation = logic, creation

    async def create(self, call: Call) -> Reply:
        body = await call.decode(shapes.VolumeCreate)
        asked = body.volume
        call.authorize({"project_id": call.ctx.project_id, "user_id": call.ctx.user_id})
        if asked.image_ref or asked.image_id:
            call.authorize({"project_id": call.ctx.project_id}, "volume:create_from_image")
        asked.name = stripped(asked.name if asked.name is not None else present(asked.display_name, None))
        asked.description = stripped(
            asked.description if asked.description is not None else present(asked.display_description, None)
        )
        hints = msgspec.to_builtins(body.hints) if body.hints is not None else {}
        ctx, volume_id = call.ctx, None
        if (ordered := body.ordered) is not None:
            call.authorize({}, ORDER)
            volume_id = ordered.id.lower()
            ctx = msgspec.structs.replace(ctx, project_id=ordered.project_id, user_id=ordered.user_id)
        volume_id = await self.creation.create(ctx, asked, {k: hints[k] for k in HINTS if k in hints}, volume_id)
        return await self._body(call, volume_id)

    async def _body(self, call: Call, volume_id: str) -> Reply:
        return Reply(
            shapes.VolumeBody(volume=views.full(call, await self.logic.show(call.ctx, volume_id), extended=False))
        )

    async def list(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        found, count = await self.logic.page(call.ctx, query, brief=True)
        shown = shapes.Volumes(volumes=[views.brief(call, known) for known in found])
        if (more := next_page(call, query, "/volumes", shown.volumes)) is not None:
            shown.volumes_links = more
        shown.count = UNSET if count is None else count
        return Reply(shown)

    async def detail(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        found, count = await self.logic.page(call.ctx, query)
        shown = shapes.VolumesDetail(volumes=[views.full(call, known) for known in found])
        if (more := next_page(call, query, "/volumes/detail", shown.volumes)) is not None:
            shown.volumes_links = more
        shown.count = UNSET if count is None else count
        return Reply(shown)

    async def summary(self, call: Call) -> Reply:
        everything = call.ctx.is_admin and truth_of(call.query.get("all_tenants", "false") or "true", "all_tenants")
        count, size = await self.logic.summary(call.ctx, everything=everything)
        view = shapes.Summary(total_size=size, total_count=count)
        if at_least(call, "3.36"):
            view.metadata = await self.logic.all_metadata(call.ctx, everything=everything)
        return Reply(shapes.SummaryBody(summary=view))

    async def show(self, call: Call, volume_id: str) -> Reply:
        known = await self.logic.show(call.ctx, volume_id)
        call.authorize(owned(known.row))
        return Reply(shapes.VolumeBody(volume=views.full(call, known)))

    async def update(self, call: Call, volume_id: str) -> Reply:
        asked = (await call.decode(shapes.VolumeUpdate)).volume
        row = await self.logic.get(call.ctx, volume_id)
        call.authorize(owned(row))
        values: dict[str, Any] = {}
        for name, old in (("name", "display_name"), ("description", "display_description")):
            given = present(getattr(asked, name), getattr(asked, old))
            if given is not UNSET:
                values[name] = stripped(given)
        if not values and asked.metadata is UNSET:
            raise BadRequest("Invalid input for field/attribute volume: there is nothing to change")
        await self.logic.update(row, values, present(asked.metadata, None))
        return await self._body(call, row.id)

    async def delete(self, call: Call, volume_id: str) -> Reply:
        row = await self.logic.get(call.ctx, volume_id)
        call.authorize(owned(row))
        force = at_least(call, "3.23") and truth_of(call.query.get("force", "false"), "force")
        if force:
            call.authorize(owned(row), "volume:force_delete")
        cascade = truth_of(call.query.get("cascade", "false"), "cascade")
        await self.logic.delete(call.ctx, row.id, force=force, cascade=cascade)
        return Reply()
