"""Rules of backups: whole ones and those that add to another, and volumes that are made of them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.volume import errors
from kilonova.volume.list_query import ListQuery
from kilonova.volume.resources.base import Deps, scope_of
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.states import BACKUP_STATUSES, BESIDE, WORKS
from kilonova.volume.store import backups, items, tasks, types, volumes
from kilonova.volume.store.backups import BACKUPS, BackupRow
from kilonova.volume.store.snapshots import SNAPSHOTS
from kilonova.volume.store.types import TYPES
from kilonova.volume.store.volumes import VOLUMES, VolumeRow

VOLUME_METADATA = "of_volume"
"""The kind of items that a backup keeps of its volume's metadata."""


class Known(msgspec.Struct, kw_only=True):
    """`needed`: later backups add to it."""

    row: BackupRow
    metadata: dict[str, str]
    needed: bool


class Wish(msgspec.Struct, kw_only=True):
    """What a request for a new backup names."""

    volume_id: str
    texts: dict[str, str | None]
    metadata: dict[str, str]
    snapshot_id: str | None = None
    incremental: bool = False
    force: bool = False


class BackupLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.database, self.clock = deps, deps.database, deps.clock
        self.volumes = VolumeLogic(deps)

    async def find(
        self, connection: Connection, ctx: RequestContext, backup_id: str, *, lock: bool = False
    ) -> BackupRow:
        row = await BACKUPS.get(connection, backup_id.lower(), lock=lock)
        if row is None or scope_of(ctx) not in (None, row.project_id):
            raise errors.BackupNotFound(backup_id=backup_id)
        return row

    async def get(self, ctx: RequestContext, backup_id: str) -> BackupRow:
        async with self.database.reading() as connection:
            return await self.find(connection, ctx, backup_id)

    async def show(self, ctx: RequestContext, backup_id: str) -> Known:
        async with self.database.reading() as connection:
            return (await self._known(connection, [await self.find(connection, ctx, backup_id)]))[0]

    async def _known(self, connection: Connection, rows: Sequence[BackupRow]) -> list[Known]:
        ids = [row.id for row in rows]
        metadata = await items.of(connection, items.METADATA, ids)
        needed = await backups.parents(connection, ids) if ids else set()
        return [Known(row=row, metadata=metadata[row.id], needed=row.id in needed) for row in rows]

    async def page(self, ctx: RequestContext, query: ListQuery) -> tuple[list[Known], int | None]:
        if not query.all_projects:
            query.equal["project_id"] = ctx.project_id
        async with self.database.reading() as connection:
            rows = await BACKUPS.page(connection, query)
            if rows is None:
                raise errors.BackupNotFound(backup_id=query.marker)
            count = await BACKUPS.count(connection, query) if query.counted else None
            return await self._known(connection, rows), count

    @retried
    async def create(self, ctx: RequestContext, wish: Wish) -> str:
        now = self.clock.row_time()
        async with self.database.transaction() as tx:
            volume = await self.volumes.find(tx.connection, ctx, wish.volume_id, lock=True)
            size = await self._check_source(tx.connection, volume, wish)
            parent = await self._parent(tx.connection, volume) if wish.incremental else None
            await self.volumes.quotas.check_backups(tx.connection, volume.project_id, size=size)
            new: dict[str, Any] = wish.texts | {
                "id": self.clock.uuid(), "project_id": volume.project_id, "user_id": ctx.user_id or "", "volume_id": volume.id,
                "snapshot_id": wish.snapshot_id, "parent_id": parent.id if parent is not None else None, "size": size,
                "status": "creating", "object_count": 0, "host": parent.host if parent is not None else volume.host,
                "availability_zone": volume.availability_zone, "bootable": volume.bootable, "type_id": volume.type_id,
                "created_at": now, "data_timestamp": now,
            }  # fmt: skip
            await BACKUPS.add(tx.connection, **new)
            await items.put(tx.connection, items.METADATA, new["id"], wish.metadata)
            of_volume = (await items.of(tx.connection, items.METADATA, [volume.id]))[volume.id]
            await items.put(tx.connection, VOLUME_METADATA, new["id"], of_volume)
            busy = {"status": BESIDE["create_backup"][0]}
            await VOLUMES.change(tx.connection, volume.id, busy)
            row = await self.find(tx.connection, ctx, new["id"])
            await self.volumes.dispatch.begin_backup(
                tx, ctx, "create_backup", row, size=size, before=volume.status, snapshot_id=wish.snapshot_id,
                parent_id=row.parent_id,
            )  # fmt: skip
        return row.id

    async def _check_source(self, connection: Connection, volume: VolumeRow, wish: Wish) -> int:
        """GiB of what is backed up."""
        allowed = ("available", "in-use") if wish.force or wish.snapshot_id is not None else ("available",)
        if volume.status not in allowed or volume.host is None:
            raise errors.InvalidVolume(
                reason=f"The volume to be backed up must be {' or '.join(allowed)}, but the current status is '{volume.status}'."
            )
        if wish.snapshot_id is None:
            return volume.size
        snapshot = await SNAPSHOTS.get(connection, wish.snapshot_id)
        if snapshot is None or snapshot.volume_id != volume.id:
            raise errors.SnapshotNotFound(snapshot_id=wish.snapshot_id)
        if snapshot.status != "available":
            raise errors.InvalidSnapshot(reason=f"Snapshot {snapshot.id} is {snapshot.status}.")
        return snapshot.size

    async def _parent(self, connection: Connection, volume: VolumeRow) -> BackupRow:
        """The volume's newest backup, on the same machine; none of those that a former owner has."""
        own = {"volume_id": volume.id, "project_id": volume.project_id}
        found = await BACKUPS.find(connection, **own, status="available", host=volume.host)
        if not found:
            raise errors.InvalidBackup(reason="No backups available to do an incremental backup.")
        newest = max(found, key=lambda row: row.created_at)
        held = await BACKUPS.get(
            connection, newest.id, lock=True
        )  # it is not deleted before the new one shows that it is needed
        if held is None or held.status != "available":
            raise errors.InvalidBackup(reason="No backups available to do an incremental backup.")
        return held

    @retried
    async def update(self, row: BackupRow, values: dict[str, Any], metadata: dict[str, str] | None) -> None:
        async with self.database.transaction() as tx:
            if not await BACKUPS.change(tx.connection, row.id, values | {"updated_at": self.clock.row_time()}):
                raise errors.BackupNotFound(backup_id=row.id)
            if metadata is not None:
                await items.put(tx.connection, items.METADATA, row.id, metadata, replace=True)

    @retried
    async def delete(self, ctx: RequestContext, backup_id: str, *, force: bool = False) -> None:
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, ctx, backup_id, lock=True)
            if not force and row.status not in WORKS["delete_backup"].starts:
                raise errors.InvalidBackup(reason=f"Backup status must be available or error, not {row.status}.")
            if await backups.parents(tx.connection, [row.id]):
                raise errors.InvalidBackup(reason="Incremental backups exist for this backup.")
            await tasks.drop(tx.connection, row.id)
            await BACKUPS.change(tx.connection, row.id, {"status": "deleting"})
            await self.volumes.dispatch.begin_backup(tx, ctx, "delete_backup", row)

    @retried
    async def restore(self, ctx: RequestContext, backup_id: str, volume_id: str | None, name: str | None) -> VolumeRow:
        """The volume that becomes the backup's content."""
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, ctx, backup_id, lock=True)
            if row.status != "available":
                raise errors.InvalidBackup(reason=f"Backup status must be available, not {row.status}.")
            volume = await self._into(tx, ctx, row, volume_id, name)
            await VOLUMES.change(tx.connection, volume.id, {"status": BESIDE["restore_backup"][0]})
            await BACKUPS.change(tx.connection, row.id, {"status": WORKS["restore_backup"].busy})
            await self.volumes.dispatch.begin_backup(
                tx, ctx, "restore_backup", row, volume_id=volume.id, size=volume.size, pool=volume.host or row.host
            )
        return volume

    async def _into(
        self, tx: Transaction, ctx: RequestContext, row: BackupRow, volume_id: str | None, name: str | None
    ) -> VolumeRow:
        if volume_id is None:
            return await self._new_volume(tx, ctx, row, name)
        volume = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
        has_snapshots, attached = await volumes.users_of(tx.connection, volume.id)
        if volume.status != "available" or has_snapshots or attached:
            raise errors.InvalidVolume(reason="Volume to be restored to must be available, and have no snapshots.")
        if volume.size < row.size:
            raise errors.InvalidVolume(
                reason=f"Volume size {volume.size} is too small to restore backup of size {row.size}."
            )
        return volume

    async def _new_volume(self, tx: Transaction, ctx: RequestContext, row: BackupRow, name: str | None) -> VolumeRow:
        """On the machine that keeps the backup, of the type that the volume had."""
        kind = await TYPES.get(tx.connection, row.type_id or "") or await types.named(
            tx.connection, self.deps.options.default_volume_type
        )
        if kind is None:
            raise errors.TypeNameNotFound(name=self.deps.options.default_volume_type)
        quotas, now = self.volumes.quotas, self.clock.row_time()
        await quotas.check_volumes(tx.connection, row.project_id, kind.name, number=1, size=row.size, each=row.size)
        new: dict[str, Any] = {
            "id": self.clock.uuid(), "project_id": row.project_id, "user_id": ctx.user_id or "", "size": row.size,
            "quota_size": row.size, "name": name or f"restore_backup_{row.id}", "status": "creating", "bootable": row.bootable,
            "multiattach": False, "encrypted": False, "readonly": False, "availability_zone": row.availability_zone,
            "type_id": kind.id, "host": row.host, "created_at": now, "launched_at": now,
        }  # fmt: skip
        await VOLUMES.add(tx.connection, **new)
        kept = (await items.of(tx.connection, VOLUME_METADATA, [row.id]))[row.id]
        await items.put(tx.connection, items.METADATA, new["id"], kept)
        return await self.volumes.find(tx.connection, ctx, new["id"])

    async def reset(self, row: BackupRow, status: str) -> None:
        if status not in BACKUP_STATUSES:
            raise errors.InvalidInput(reason=f"Must specify a valid status, not {status[:40]!r}")
        await self.update(row, {"status": status}, None)
