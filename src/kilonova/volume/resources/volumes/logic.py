"""Rules of volumes: who sees which, and how they change without a back end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.volume import errors
from kilonova.volume.dispatch import Dispatch
from kilonova.volume.list_query import ListQuery
from kilonova.volume.models import service_of
from kilonova.volume.quotas import Quotas
from kilonova.volume.resources.base import Deps, scope_of
from kilonova.volume.states import REMOVABLE, WORKS
from kilonova.volume.store import attachments, items, services, tasks, types, volumes
from kilonova.volume.store.attachments import AttachmentRow
from kilonova.volume.store.snapshots import SNAPSHOTS
from kilonova.volume.store.types import TypeRow
from kilonova.volume.store.volumes import VOLUMES, VolumeRow


class Known(msgspec.Struct, kw_only=True):
    """A volume with all that is shown of it."""

    row: VolumeRow
    type: TypeRow | None
    metadata: dict[str, str]
    image: dict[str, str]
    attachments: Sequence[AttachmentRow]
    service_uuid: str | None


class VolumeLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.database, self.clock = deps, deps.database, deps.clock
        self.quotas, self.dispatch = Quotas(deps.options), Dispatch(deps.clock, deps.events)

    async def find(
        self, connection: Connection, ctx: RequestContext, volume_id: str, *, lock: bool = False
    ) -> VolumeRow:
        """Raises VolumeNotFound; another project's is not there for a user."""
        row = await VOLUMES.get(connection, volume_id.lower(), lock=lock)
        if row is None or scope_of(ctx) not in (None, row.project_id):
            raise errors.VolumeNotFound(volume_id=volume_id)
        return row

    async def get(self, ctx: RequestContext, volume_id: str) -> VolumeRow:
        async with self.database.reading() as connection:
            return await self.find(connection, ctx, volume_id)

    async def show(self, ctx: RequestContext, volume_id: str) -> Known:
        async with self.database.reading() as connection:
            row = await self.find(connection, ctx, volume_id)
            return (await self.known(connection, [row]))[0]

    async def known(self, connection: Connection, rows: Sequence[VolumeRow]) -> list[Known]:
        """In a fixed number of statements."""
        ids = [row.id for row in rows]
        kinds = await types.by_id(connection, (row.type_id for row in rows))
        metadata = await items.of(connection, items.METADATA, ids)
        image = await items.of(connection, items.IMAGE, ids)
        flags = await items.of(connection, items.FLAGS, ids)
        held = await attachments.of_volumes(connection, ids)
        uuids = {row.host: row.uuid for row in await services.find(connection, binary=services.BACKEND)} if ids else {}
        return [
            Known(
                row=row,
                type=kinds.get(row.type_id),
                metadata=metadata[row.id] | flags[row.id],
                image=image[row.id],
                attachments=held[row.id],
                service_uuid=uuids.get(service_of(row.host)) if row.host else None,
            )
            for row in rows
        ]

    async def page(
        self, ctx: RequestContext, query: ListQuery, *, brief: bool = False
    ) -> tuple[list[Known], int | None]:
        """(a page, how many there are of all pages where that was asked)."""
        if not query.all_projects:
            query.equal["project_id"] = ctx.project_id
        async with self.database.reading() as connection:
            await self._named_type(connection, query)
            rows = await volumes.page(connection, query)
            if rows is None:
                raise errors.MarkerNotFound(marker=query.marker)
            count = await volumes.count(connection, query) if query.counted else None
            return await self.known(connection, [] if brief else rows) or _bare(rows), count

    async def _named_type(self, connection: Connection, query: ListQuery) -> None:
        """The filter by type takes names too."""
        if (name := query.equal.get("type_id")) is not None:
            found = await types.named(connection, name)
            query.equal["type_id"] = found.id if found is not None else name

    async def summary(self, ctx: RequestContext, *, everything: bool) -> tuple[int, int]:
        async with self.database.reading() as connection:
            return await volumes.summary(connection, None if everything else ctx.project_id)

    async def all_metadata(self, ctx: RequestContext, *, everything: bool) -> dict[str, list[str]]:
        """Key → the values that volumes have."""
        async with self.database.reading() as connection:
            return await volumes.all_metadata(connection, None if everything else ctx.project_id)

    @retried
    async def update(self, row: VolumeRow, values: dict[str, Any], metadata: dict[str, str] | None) -> None:
        async with self.database.transaction() as tx:
            if not await VOLUMES.change(tx.connection, row.id, values | {"updated_at": self.clock.row_time()}):
                raise errors.VolumeNotFound(volume_id=row.id)
            if metadata is not None:
                await items.put(tx.connection, items.METADATA, row.id, metadata, replace=True)

    @retried
    async def set_readonly(self, row: VolumeRow, readonly: bool) -> None:
        """Once it was set, the flag shows among the metadata, where only this changes it."""
        async with self.database.transaction() as tx:
            await VOLUMES.change(tx.connection, row.id, {"readonly": readonly, "updated_at": self.clock.row_time()})
            await items.put(tx.connection, items.FLAGS, row.id, {"readonly": str(readonly)})

    @retried
    async def delete(self, ctx: RequestContext, volume_id: str, *, force: bool = False, cascade: bool = False) -> None:
        async with self.database.transaction() as tx:
            row = await self.find(tx.connection, ctx, volume_id, lock=True)
            await self.check_deletable(tx.connection, row, force=force, cascade=cascade)
            if row.host is None:  # it was never made anywhere
                await tasks.drop(tx.connection, row.id)
                await volumes.remove(tx.connection, row.id)
                self.deps.events.send(tx, ctx, "volume.delete.start", row, {"status": "deleting"})
                self.deps.events.send(tx, ctx, "volume.delete.end", row, {"status": "deleted"})
                return
            taken = await self._snapshots_too(tx, row)
            await self.begin(tx, ctx, "delete_volume", row, snapshots=taken)

    async def check_deletable(self, connection: Connection, row: VolumeRow, *, force: bool, cascade: bool) -> None:
        has_snapshots, attached = await volumes.users_of(connection, row.id)
        if not force and row.status not in REMOVABLE:
            raise errors.InvalidVolume(
                reason="Volume status must be available or error or error_restoring or error_extending or "
                "error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a "
                "transfer, or be disassociated from snapshots after volume transfer."
            )
        if attached:
            raise errors.InvalidVolume(reason=f"Volume {row.id} is attached: detach it first.")
        if has_snapshots and not cascade:
            raise errors.InvalidVolume(reason=f"Volume {row.id} has snapshots: it can't be deleted before they are.")

    async def _snapshots_too(self, tx: Transaction, row: VolumeRow) -> list[str]:
        """Those of a volume that is deleted with them: all, or none."""
        taken = await SNAPSHOTS.find(tx.connection, volume_id=row.id)
        for snapshot in taken:
            if snapshot.status not in WORKS["delete_snapshot"].starts:
                raise errors.InvalidVolume(reason=f"Snapshot {snapshot.id} of the volume is {snapshot.status}.")
            await SNAPSHOTS.change(tx.connection, snapshot.id, {"status": "deleting"})
        return [snapshot.id for snapshot in taken]

    async def begin(self, tx: Transaction, ctx: RequestContext, work: str, row: VolumeRow, **given: Any) -> None:
        """A back end is to do it; the volume shows so meanwhile."""
        status = {"status": WORKS[work].busy, "updated_at": self.clock.row_time()}
        await VOLUMES.change(tx.connection, row.id, status)
        await self.dispatch.begin(tx, ctx, work, row, volume=row, before=row.status, **given)


def _bare(rows: Iterable[VolumeRow]) -> list[Known]:
    return [Known(row=row, type=None, metadata={}, image={}, attachments=[], service_uuid=None) for row in rows]
