"""Snapshots over HTTP."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.errors import BadRequest
from kilonova.core.web.bodies import converted
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import present
from kilonova.volume import errors
from kilonova.volume.fields import stripped, truth
from kilonova.volume.resources.base import at_least, owned
from kilonova.volume.resources.listing import Listing, next_page
from kilonova.volume.resources.snapshots import schemas as shapes
from kilonova.volume.resources.snapshots.logic import Known, SnapshotLogic
from kilonova.volume.resources.snapshots.policies import ADMIN_ACTION, EXTENDED
from kilonova.volume.times import shown

KEYS = {
    name: name
    for name in ("id", "name", "size", "status", "created_at", "updated_at", "volume_id", "user_id", "progress")
}
LIST = Listing(
    filters={
        "id": "id", "name": "name", "display_name": "name", "description": "description", "status": "status",
        "volume_id": "volume_id", "project_id": "project_id", "user_id": "user_id", "volume_size": "size", "progress": "progress",
    },
    sort=KEYS | {"display_name": "name", "volume_size": "size"},
    numbers=("volume_size",),
    operators=("project_id",),
    pairs={"metadata": "metadata"},
)  # fmt: skip
ACTIONS: dict[str, tuple[type, str]] = {
    "os-reset_status": (shapes.StatusChange, f"{ADMIN_ACTION}:reset_status"),
    "os-force_delete": (shapes.Nothing, f"{ADMIN_ACTION}:force_delete"),
    "os-update_snapshot_status": (
        shapes.ProgressChange, "snapshot_extension:snapshot_actions:update_snapshot_status",
    ),
}  # fmt: skip


class Snapshots:
    def __init__(self, logic: SnapshotLogic) -> None:
        self.logic = logic

    def _view(self, call: Call, known: Known, *, extended: bool = True) -> shapes.SnapshotView:
        row = known.row
        view = shapes.SnapshotView(
            id=row.id, name=row.name, description=row.description, volume_id=row.volume_id, status=row.status, size=row.size,
            created_at=shown(row.created_at) or "", updated_at=shown(row.updated_at), metadata=known.metadata,
            group_snapshot_id=row.group_snapshot_id, user_id=row.user_id,
        )  # fmt: skip
        if extended and call.allowed(EXTENDED, owned(row)):
            view.progress, view.project_id = row.progress, row.project_id
        return view

    async def _body(self, call: Call, snapshot_id: str, *, extended: bool = False) -> Reply:
        known = await self.logic.show(call.ctx, snapshot_id)
        return Reply(shapes.SnapshotBody(snapshot=self._view(call, known, extended=extended)))

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.SnapshotCreate)).snapshot
        volume = await self.logic.volumes.get(call.ctx, str(asked.volume_id))
        call.authorize(owned(volume))
        force = not isinstance(asked.force, UnsetType) and truth(asked.force)
        if at_least(call, "3.66"):
            if asked.force is not UNSET and not force:
                raise errors.InvalidInput(reason="The 'force' flag can only be true since microversion 3.66")
            force = True
        values = {
            "name": stripped(asked.name if asked.name is not None else asked.display_name),
            "description": asked.description if asked.description is not None else asked.display_description,
        }
        created = await self.logic.create(call.ctx, volume.id, values, asked.metadata or {}, force=force)
        return await self._body(call, created)

    async def list(self, call: Call) -> Reply:
        return await self._list(call, "/snapshots", extended=False)

    async def detail(self, call: Call) -> Reply:
        return await self._list(call, "/snapshots/detail", extended=True)

    async def _list(self, call: Call, path: str, *, extended: bool) -> Reply:
        query = LIST.read(call, maximum=self.logic.deps.options.limit_max)
        found, count = await self.logic.list(call.ctx, query)
        view = shapes.Snapshots(snapshots=[self._view(call, known, extended=extended) for known in found])
        if (more := next_page(call, query, path, view.snapshots)) is not None:
            view.snapshots_links = more
        view.count = UNSET if count is None else count
        return Reply(view)

    async def show(self, call: Call, snapshot_id: str) -> Reply:
        call.authorize(owned(await self.logic.get(call.ctx, snapshot_id)))
        return await self._body(call, snapshot_id, extended=True)

    async def update(self, call: Call, snapshot_id: str) -> Reply:
        asked = (await call.decode(shapes.SnapshotUpdate)).snapshot
        row = await self.logic.get(call.ctx, snapshot_id)
        call.authorize(owned(row))
        values: dict[str, Any] = {}
        for name, old in (("name", "display_name"), ("description", "display_description")):
            given = present(getattr(asked, name), getattr(asked, old))
            if given is not UNSET:
                values[name] = stripped(given)
        if not values:
            raise BadRequest("Invalid input for field/attribute snapshot: there is nothing to change")
        await self.logic.update(row, values)
        return await self._body(call, snapshot_id)

    async def delete(self, call: Call, snapshot_id: str) -> Reply:
        row = await self.logic.get(call.ctx, snapshot_id)
        call.authorize(owned(row))
        await self.logic.delete(call.ctx, row.id)
        return Reply()

    async def act(self, call: Call, snapshot_id: str) -> Reply:
        """The body's one key names what to do."""
        body = await call.decode(dict[str, Any])
        name = next(iter(body)) if len(body) == 1 else ""
        if name not in ACTIONS:
            raise BadRequest(f"There is no such action: {name[:60]}")
        shape, rule = ACTIONS[name]
        row = await self.logic.get(call.ctx, snapshot_id)
        call.authorize(owned(row), rule)
        asked: Any = converted(call, body[name] or {}, shape)
        if name == "os-force_delete":
            await self.logic.delete(call.ctx, row.id, force=True)
        elif name == "os-reset_status":
            await self.logic.reset(row, asked.status)
        else:
            await self.logic.progress(row, asked.status, asked.progress)
        return Reply()
