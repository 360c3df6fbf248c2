"""Backups over HTTP."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.errors import BadRequest
from kilonova.core.web.bodies import converted
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import present
from kilonova.volume.fields import stripped, truth
from kilonova.volume.resources.backups import schemas as shapes
from kilonova.volume.resources.backups.logic import BackupLogic, Known, Wish
from kilonova.volume.resources.backups.policies import ADMIN_ACTION, PROJECT
from kilonova.volume.resources.base import links, owned
from kilonova.volume.resources.listing import Listing, next_page
from kilonova.volume.times import shown

LIST = Listing(
    filters={"id": "id", "name": "name", "status": "status", "volume_id": "volume_id", "project_id": "project_id"},
    sort={n: n for n in ("id", "name", "status", "created_at", "updated_at", "volume_id", "size")},
    like=("name",),
    operators=("project_id",),
)
ACTIONS: dict[str, tuple[type, str]] = {
    "os-reset_status": (shapes.StatusChange, f"{ADMIN_ACTION}:reset_status"),
    "os-force_delete": (shapes.Nothing, f"{ADMIN_ACTION}:force_delete"),
}


class Backups:
    def __init__(self, logic: BackupLogic) -> None:
        self.logic = logic

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.BackupCreate)).backup
        volume = await self.logic.volumes.get(call.ctx, asked.volume_id)
        call.authorize(owned(volume))
        texts = {"name": stripped(asked.name), "description": asked.description, "container": asked.container}
        given = None if isinstance(asked.metadata, UnsetType) else asked.metadata
        wish = Wish(
            volume_id=volume.id, texts=texts, metadata=given or {}, snapshot_id=asked.snapshot_id,
            incremental=truth(asked.incremental), force=truth(asked.force),
        )  # fmt: skip
        return await self._made(call, await self.logic.create(call.ctx, wish))

    async def _made(self, call: Call, backup_id: str) -> Reply:
        known = await self.logic.show(call.ctx, backup_id)
        brief = _brief(call, known)
        made = shapes.BackupMade(id=brief.id, name=brief.name, links=brief.links, metadata=known.metadata)
        return Reply(shapes.MadeBody(backup=made))

    async def list(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        found, count = await self.logic.page(call.ctx, query)
        view = shapes.Backups(backups=[_brief(call, known) for known in found])
        view.backups_links = next_page(call, query, "/backups", view.backups) or UNSET
        view.count = UNSET if count is None else count
        return Reply(view)

    async def detail(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        found, count = await self.logic.page(call.ctx, query)
        view = shapes.BackupsDetail(backups=[_view(call, known) for known in found])
        view.backups_links = next_page(call, query, "/backups/detail", view.backups) or UNSET
        view.count = UNSET if count is None else count
        return Reply(view)

    async def show(self, call: Call, backup_id: str) -> Reply:
        known = await self.logic.show(call.ctx, backup_id)
        call.authorize(owned(known.row))
        return Reply(shapes.BackupBody(backup=_view(call, known)))

    async def update(self, call: Call, backup_id: str) -> Reply:
        asked = (await call.decode(shapes.BackupUpdate)).backup
        row = await self.logic.get(call.ctx, backup_id)
        call.authorize(owned(row))
        values: dict[str, Any] = {}
        for name in ("name", "description"):
            if (given := getattr(asked, name)) is not UNSET:
                values[name] = stripped(given)
        if not values and isinstance(asked.metadata, UnsetType):
            raise BadRequest("Invalid input for field/attribute backup: there is nothing to change")
        await self.logic.update(row, values, present(asked.metadata, None))
        return await self._made(call, row.id)

    async def delete(self, call: Call, backup_id: str) -> Reply:
        row = await self.logic.get(call.ctx, backup_id)
        call.authorize(owned(row))
        await self.logic.delete(call.ctx, row.id)
        return Reply()

    async def restore(self, call: Call, backup_id: str) -> Reply:
        asked = (await call.decode(shapes.RestoreBody)).restore
        row = await self.logic.get(call.ctx, backup_id)
        call.authorize(owned(row))
        volume = await self.logic.restore(call.ctx, row.id, asked.volume_id, stripped(asked.name))
        view = shapes.Restored(backup_id=row.id, volume_id=volume.id, volume_name=volume.name or "")
        return Reply(shapes.RestoredBody(restore=view))

    async def act(self, call: Call, backup_id: str) -> Reply:
        """The body's one key names what to do."""
        body = await call.decode(dict[str, Any])
        name = next(iter(body)) if len(body) == 1 else ""
        if name not in ACTIONS:
            raise BadRequest(f"There is no such action: {name[:60]}")
        shape, rule = ACTIONS[name]
        row = await self.logic.get(call.ctx, backup_id)
        call.authorize(owned(row), rule)
        asked: Any = converted(call, body[name] or {}, shape)
        if name == "os-force_delete":
            await self.logic.delete(call.ctx, row.id, force=True)
        else:
            await self.logic.reset(row, asked.status)
        return Reply()


def _brief(call: Call, known: Known) -> shapes.BackupBrief:
    row = known.row
    return shapes.BackupBrief(id=row.id, name=row.name, links=links(call, "backups", row.id))


def _view(call: Call, known: Known) -> shapes.BackupView:
    row = known.row
    view = shapes.BackupView(
        id=row.id, name=row.name, links=links(call, "backups", row.id), volume_id=row.volume_id, description=row.description,
        status=row.status, fail_reason=row.fail_reason, size=row.size, object_count=row.object_count, container=row.container,
        availability_zone=row.availability_zone, created_at=shown(row.created_at) or "", updated_at=shown(row.updated_at),
        data_timestamp=shown(row.data_timestamp), is_incremental=row.parent_id is not None,
        has_dependent_backups=known.needed, snapshot_id=row.snapshot_id, metadata=known.metadata, user_id=row.user_id,
    )  # fmt: skip
    if call.allowed(PROJECT, owned(row)):
        view.project_id = row.project_id
    return view
