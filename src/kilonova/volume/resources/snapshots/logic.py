"""Rules of snapshots."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried
from kilonova.volume import errors
from kilonova.volume.list_query import ListQuery
from kilonova.volume.resources.base import Deps, scope_of
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.states import SNAPSHOT_STATUSES, WORKS
from kilonova.volume.store import items, snapshots, tasks
from kilonova.volume.store.snapshots import SNAPSHOTS, SnapshotRow
from kilonova.volume.store.types import TYPES

NEXT = {"creating": ("creating", "available", "error"), "deleting": ("deleting", "error_deleting")}
FORCED = ("available", "in-use")


class Known(msgspec.Struct, kw_only=True):
    row: SnapshotRow
    metadata: dict[str, str]


class SnapshotLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.database, self.clock = deps, deps.database, deps.clock
        self.volumes = VolumeLogic(deps)

    async def find(
        self, connection: Connection, ctx: RequestContext, snapshot_id: str, *, lock: bool = False
    ) -> SnapshotRow:
        row = await SNAPSHOTS.get(connection, snapshot_id.lower(), lock=lock)
        if row is None or scope_of(ctx) not in (None, row.project_id):
            raise errors.SnapshotNotFound(snapshot_id=snapshot_id)
        return row

    async def get(self, ctx: RequestContext, snapshot_id: str) -> SnapshotRow:
        async with self.database.reading() as connection:
            return await self.find(connection, ctx, snapshot_id)

    async def show(self, ctx: RequestContext, snapshot_id: str) -> Known:
        async with self.database.reading() as connection:
            return (await self._known(connection, [await self.find(connection, ctx, snapshot_id)]))[0]

    async def _known(self, connection: Connection, rows: Sequence[SnapshotRow]) -> list[Known]:
        metadata = await items.of(connection, items.METADATA, [row.id for row in rows])
        return [Known(row=row, metadata=metadata[row.id]) for row in rows]

    async def list(self, ctx: RequestContext, query: ListQuery) -> tuple[list[Known], int | None]:
        if not query.all_projects:
            query.equal["project_id"] = ctx.project_id
        async with self.database.reading() as connection:
            rows = await snapshots.page(connection, query)
            if rows is None:
                raise errors.SnapshotNotFound(snapshot_id=query.marker)
            count = await snapshots.count(connection, query) if query.counted else None
            return await self._known(connection, rows), count

    @retried
    async def create(
        self, ctx: RequestContext, volume_id: str, values: dict[str, Any], metadata: dict[str, str], *, force: bool
    ) -> str:
        """The new snapshot's id."""
        async with self.database.transaction() as tx:
            volume = await self.volumes.find(tx.connection, ctx, volume_id, lock=True)
            if volume.host is None or volume.status not in (FORCED if force else ("available",)):
                raise errors.InvalidVolume(
                    reason=f"Volume {volume.id} status must be {' or '.join(FORCED) if force else 'available'}, but current "
                    f"status is: {volume.status}."
                )
            kind = await TYPES.get(tx.connection, volume.type_id)
            await self.volumes.quotas.check_snapshots(
                tx.connection, volume.project_id, kind.name if kind else None, number=1, size=volume.size
            )
            new = values | {
                "id": self.clock.uuid(), "volume_id": volume.id, "project_id": volume.project_id, "user_id": ctx.user_id or "",
                "size": volume.size, "type_id": volume.type_id, "status": "creating", "progress": "0%",
                "created_at": self.clock.row_time(),
            }  # fmt: skip
            await SNAPSHOTS.add(tx.connection, **new)
            await items.put(tx.connection, items.METADATA, new["id"], metadata)
            row = await self.find(tx.connection, ctx, new["id"])
            await self.volumes.dispatch.begin(tx, ctx, "create_snapshot", row, volume=volume, snapshot_id=row.id)
        return row.id

    @retried
    async def update(self, row: SnapshotRow, values: dict[str, Any]) -> None:
        async with self.database.transaction() as tx:
            if not await SNAPSHOTS.change(tx.connection, row.id, values | {"updated_at": self.clock.row_time()}):
                raise errors.SnapshotNotFound(snapshot_id=row.id)

    @retried
    async def delete(self, ctx: RequestContext, snapshot_id: str, *, force: bool = False) -> None:
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, ctx, snapshot_id, lock=True)
            if not force and row.status not in WORKS["delete_snapshot"].starts:
                raise errors.InvalidSnapshot(
                    reason="Snapshot status must be available or error or error_deleting and must not be part of a group."
                )
            volume = await self.volumes.find(tx.connection, ctx, row.volume_id)
            await tasks.drop(tx.connection, row.id)  # of an earlier work that an operator overrides
            await SNAPSHOTS.change(tx.connection, row.id, {"status": "deleting", "updated_at": self.clock.row_time()})
            await self.volumes.dispatch.begin(tx, ctx, "delete_snapshot", row, volume=volume, snapshot_id=row.id)

    async def progress(self, row: SnapshotRow, status: str, progress: str | None) -> None:
        """What a hypervisor says of a snapshot that it takes part in."""
        if status not in NEXT.get(row.status, ()):
            raise core_errors.BadRequest(
                f"Provided snapshot status {status[:40]} not allowed for snapshot with status {row.status}."
            )
        if progress is not None and not re.fullmatch(r"(100|[0-9]{1,2})%", progress):
            raise errors.InvalidInput(reason="progress must be an integer percentage")
        await self.update(row, {"status": status} | ({"progress": progress} if progress is not None else {}))

    async def reset(self, row: SnapshotRow, status: str) -> None:
        """An operator's word."""
        if status not in SNAPSHOT_STATUSES:
            raise errors.InvalidInput(
                reason=f"Must specify a valid status, not {status[:40]!r}: {', '.join(SNAPSHOT_STATUSES)}"
            )
        await self.update(row, {"status": status})
