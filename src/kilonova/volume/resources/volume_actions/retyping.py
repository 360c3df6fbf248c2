"""Another type for a volume that stays where it is: its back end must be one that the new type may have."""

from __future__ import annotations

import msgspec

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried
from kilonova.volume import errors
from kilonova.volume.resources.volumes.creation import is_set
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.scheduler.filters import capabilities, shared
from kilonova.volume.scheduler.pools import Pool, Request
from kilonova.volume.store import encryption, items, services, types
from kilonova.volume.store.snapshots import SNAPSHOTS
from kilonova.volume.store.types import TypeRow
from kilonova.volume.store.volumes import VOLUMES, VolumeRow

STARTS = ("available", "in-use")


class Retyping:
    def __init__(self, volumes: VolumeLogic) -> None:
        self.volumes = volumes

    @retried
    async def retype(self, ctx: RequestContext, volume_id: str, new_type: str) -> None:
        volumes = self.volumes
        async with volumes.database.transaction() as tx:
            row = await volumes.find(tx.connection, ctx, volume_id, lock=True)
            if row.status not in STARTS or row.host is None:
                raise errors.InvalidVolume(reason=f"Volume {row.id} is {row.status}: it can't have another type now.")
            kind = await types.named(tx.connection, new_type, seen_by=None if ctx.is_admin else ctx.project_id)
            if kind is None:
                raise errors.InvalidInput(reason=f"There is no volume type {new_type}.")
            if kind.id == row.type_id:
                raise errors.InvalidInput(reason=f"New volume_type same as original: {new_type}.")
            multiattach = await self._check(tx.connection, row, kind)
            taken = await SNAPSHOTS.find(tx.connection, volume_id=row.id)
            await volumes.quotas.check_retype(tx.connection, row.project_id, kind.name, size=row.size)
            changed = {"type_id": kind.id, "multiattach": multiattach, "updated_at": volumes.clock.row_time()}
            await VOLUMES.change(tx.connection, row.id, changed)
            for snapshot in taken:
                await SNAPSHOTS.change(tx.connection, snapshot.id, {"type_id": kind.id})
            volumes.deps.events.send(tx, ctx, "volume.retype", row, changed)

    async def _check(self, connection: Connection, row: VolumeRow, kind: TypeRow) -> bool:
        """Whether volumes of the type may be several servers'."""
        if await encryption.get(connection, kind.id) is not None:
            raise errors.NoEncryptedVolumes(name=kind.name)
        specs = (await items.of(connection, items.EXTRA_SPECS, [kind.id]))[kind.id]
        multiattach = is_set(specs.get("multiattach"))
        if multiattach != row.multiattach and row.status != "available":
            raise errors.InvalidInput(reason="Changing multiattach support is only available for 'available' volumes.")
        request = Request(size=row.size, zone=None, extra_specs=specs, multiattach=multiattach)
        known = [pool for pool in await services.all_pools(connection) if pool.name == row.host]
        pool = _pool(known[0]) if known else None
        if pool is None or not (capabilities(pool, request) and shared(pool, request)):
            raise errors.InvalidInput(reason=f"The back end of volume {row.id} has not what type {kind.name} asks for.")
        return multiattach


def _pool(row: services.PoolRow) -> Pool:
    return Pool(
        name=row.name, service=row.service, zone="", up=True, disabled=False, total_gb=row.total_gb, free_gb=row.free_gb,
        promised=0, capabilities=msgspec.json.decode(row.capabilities),
    )  # fmt: skip
