"""Rules of what is done with a volume, apart from attaching it."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.core.db import retried
from kilonova.volume import errors
from kilonova.volume.fields import truth
from kilonova.volume.resources.volume_actions import schemas as shapes
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.states import ATTACH_STATUSES, VOLUME_STATUSES, WORKS
from kilonova.volume.store import items, tasks, volumes
from kilonova.volume.store.attachments import ATTACHMENTS
from kilonova.volume.store.snapshots import SNAPSHOTS
from kilonova.volume.store.types import TYPES
from kilonova.volume.store.volumes import VOLUMES, VolumeRow


class ActionLogic:
    def __init__(self, volumes: VolumeLogic) -> None:
        self.volumes, self.deps = volumes, volumes.deps
        self.database, self.clock = volumes.database, volumes.clock

    @retried
    async def extend(self, ctx: RequestContext, volume_id: str, new_size: int) -> None:
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            if row.status not in WORKS["extend_volume"].starts or row.host is None:
                raise errors.InvalidVolume(
                    reason=f"Volume {row.id} status must be 'available' or 'in-use' to extend, currently {row.status}."
                )
            if new_size <= row.size:
                raise errors.InvalidInput(
                    reason=f"New size for extend must be greater than current size. (current: {row.size}, extended: {new_size})."
                )
            kind = await TYPES.get(tx.connection, row.type_id)
            await self.volumes.quotas.check_volumes(
                tx.connection, row.project_id, kind.name if kind else "", size=new_size - row.size, each=new_size
            )
            await VOLUMES.change(tx.connection, row.id, {"quota_size": new_size})
            await self.volumes.begin(tx, ctx, "extend_volume", row, new_size=new_size)

    @retried
    async def reset(self, ctx: RequestContext, volume_id: str, asked: shapes.ResetStatus) -> None:
        values: dict[str, Any] = {}
        known = {"status": VOLUME_STATUSES, "attach_status": ATTACH_STATUSES}
        given = {name: getattr(asked, name) for name in shapes.ResetStatus.__struct_fields__}
        given = {name: value for name, value in given.items() if isinstance(value, str)}
        if not given:
            raise core_errors.BadRequest("Must specify one or more of: status, attach_status, migration_status.")
        for name, value in given.items():
            if name in known and value not in known[name]:
                raise errors.InvalidInput(reason=f"Must specify a valid {name}, not {value[:40]!r}")
            if name != "attach_status":
                values[name] = None if value == "none" else value
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            if given.get("attach_status") == "detached":
                for held in await ATTACHMENTS.find(tx.connection, volume_id=row.id):
                    await ATTACHMENTS.remove(tx.connection, held.id)
            await VOLUMES.change(tx.connection, row.id, values | {"updated_at": self.clock.row_time()})

    async def force_delete(self, ctx: RequestContext, volume_id: str) -> None:
        """Whatever its status: what was to be done with it is not done any more."""
        await self._forget_tasks(ctx, volume_id)
        await self.volumes.delete(ctx, volume_id, force=True)

    @retried
    async def _forget_tasks(self, ctx: RequestContext, volume_id: str) -> None:
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            _, attached = await volumes.users_of(tx.connection, row.id)
            if not attached:
                await tasks.drop(tx.connection, row.id)

    async def set_bootable(self, row: VolumeRow, bootable: bool) -> None:
        await self.volumes.update(row, {"bootable": bootable}, None)

    async def set_readonly(self, row: VolumeRow, readonly: bool) -> None:
        if row.status != "available":
            raise errors.InvalidVolume(
                reason=f"Volume {row.id} status must be available to update readonly flag, but current status is: {row.status}."
            )
        await self.volumes.set_readonly(row, readonly)

    # ---- what is known of its image

    @retried
    async def set_image_facts(self, row: VolumeRow, facts: dict[str, str]) -> dict[str, str]:
        async with self.database.transaction() as tx:
            await items.put(tx.connection, items.IMAGE, row.id, facts)
            return (await items.of(tx.connection, items.IMAGE, [row.id]))[row.id]

    @retried
    async def remove_image_fact(self, row: VolumeRow, name: str) -> None:
        async with self.database.transaction() as tx:
            if not await items.remove(tx.connection, items.IMAGE, row.id, name):
                raise errors.ItemNotFound(what=f"The image of volume {row.id}", name=name)

    async def image_facts(self, row: VolumeRow) -> dict[str, str]:
        async with self.database.reading() as connection:
            return (await items.of(connection, items.IMAGE, [row.id]))[row.id]

    # ---- snapshots and images

    @retried
    async def revert(self, ctx: RequestContext, volume_id: str, snapshot_id: str) -> None:
        """To its newest snapshot alone."""
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            own = await SNAPSHOTS.find(tx.connection, volume_id=row.id)
            newest = max(own, key=lambda snapshot: snapshot.created_at, default=None)
            if newest is None or newest.id != snapshot_id:
                raise errors.InvalidInput(reason=f"Snapshot {snapshot_id} is not the latest one of volume {row.id}.")
            if newest.status != "available" or row.status not in WORKS["revert_volume"].starts:
                raise errors.InvalidVolume(
                    reason=f"Volume {row.id} is {row.status} and its snapshot {newest.status}: both must be available."
                )
            if newest.size > row.size:
                raise errors.InvalidVolume(reason=f"Volume {row.id} is smaller than its snapshot.")
            await self.volumes.begin(tx, ctx, "revert_volume", row, snapshot_id=snapshot_id)

    async def upload(self, ctx: RequestContext, row: VolumeRow, asked: shapes.Upload) -> shapes.Uploaded:
        """Make an image of the volume: it waits for its data at once, and a back end brings them."""
        allowed = ("available", "in-use") if truth(asked.force) else ("available",)
        if row.status not in allowed or row.host is None:
            raise errors.InvalidVolume(
                reason=f"Volume {row.id} status must be available, but current status is: {row.status}."
            )
        disk, container = asked.disk_format or "raw", asked.container_format or "bare"
        more: dict[str, Any] = {}
        if isinstance(asked.visibility, str):
            more["visibility"] = asked.visibility
        if not isinstance(asked.protected, msgspec.UnsetType):
            more["protected"] = truth(asked.protected)
        image = await self.deps.images.create(
            ctx, {}, name=asked.image_name, disk_format=disk, container_format=container, **more
        )  # fmt: skip
        try:
            await self._upload(ctx, row.id, image.id, disk)
        except BaseException:
            await self.deps.images.delete(ctx, image.id)
            raise
        async with self.database.reading() as connection:
            kind = await TYPES.get(connection, row.type_id)
        view = shapes.Uploaded(
            id=row.id, status="uploading", size=row.size, display_description=row.description, updated_at=None,
            volume_type={"id": kind.id, "name": kind.name} if kind else None, container_format=container, disk_format=disk,
            image_id=image.id, image_name=asked.image_name,
        )  # fmt: skip
        view.visibility, view.protected = str(more.get("visibility", "shared")), bool(more.get("protected", False))
        return view

    @retried
    async def _upload(self, ctx: RequestContext, volume_id: str, image_id: str, disk_format: str) -> None:
        async with self.database.transaction() as tx:
            row = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            if row.status not in WORKS["upload_volume"].starts:
                raise errors.InvalidVolume(reason=f"Volume {row.id} is {row.status}.")
            await self.volumes.begin(tx, ctx, "upload_volume", row, image_id=image_id, image_format=disk_format)
