"""Volumes and snapshots over compute's HTTP API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.compute.resources.volumes import schemas as shapes
from kilonova.compute.resources.volumes.logic import Record, VolumeProxy
from kilonova.compute.web.fields import truth
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import read_page


class Proxied:
    """What both have in common: `shown` is a view of a record, `wrapped` the body of one, `listed` of several."""

    def __init__(
        self, proxy: VolumeProxy, shown: Callable[[Record], Any], wrapped: Callable[[Any], Any],
        listed: Callable[[list[Any]], Any],
    ) -> None:  # fmt: skip
        self.proxy, self.shown, self.wrapped, self.listed = proxy, shown, wrapped, listed

    async def list(self, call: Call) -> Reply:
        page, offset = read_page(call), call.query.get("offset") or "0"
        first = int(offset[:9]) if offset.isdecimal() and offset.isascii() else 0
        found = await self.proxy.every(call.ctx)
        return Reply(self.listed([self.shown(record) for record in found[first : first + page.limit]]))

    async def show(self, call: Call, **named: str) -> Reply:
        (item_id,) = named.values()
        return Reply(self.wrapped(self.shown(await self.proxy.one(call.ctx, item_id))))

    async def delete(self, call: Call, **named: str) -> Reply:
        (item_id,) = named.values()
        await self.proxy.delete(call.ctx, item_id)
        return Reply()

    async def create_volume(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.VolumeCreate)).volume
        values = _named(asked) | {
            "size": int(asked.size), "volume_type": asked.volume_type, "metadata": asked.metadata,
            "snapshot_id": asked.snapshot_id, "availability_zone": asked.availability_zone,
        }  # fmt: skip
        made = self.shown(await self.proxy.create(call.ctx, values))
        return Reply(shapes.VolumeBody(volume=made), headers={"Location": f"{call.base_url}/os-volumes/{made.id}"})

    async def create_snapshot(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.SnapshotCreate)).snapshot
        values = _named(asked) | {"volume_id": asked.volume_id, "force": truth(asked.force)}
        return Reply(shapes.SnapshotBody(snapshot=self.shown(await self.proxy.create(call.ctx, values))))


def _named(asked: shapes.VolumeNew | shapes.SnapshotNew) -> Record:
    return {"name": asked.display_name, "description": asked.display_description}


def volume_view(record: Record) -> shapes.Volume:
    held = record["attachments"][:1]
    known = {name: record[name] for name in ("id", "status", "size", "availability_zone", "snapshot_id", "metadata")}
    return shapes.Volume(
        **known, created_at=record["created_at"], name=record["name"], description=record["description"],
        volume_type=record["volume_type"], attachments=[_attached(one) for one in held] or [shapes.Attached()],
    )  # fmt: skip


def _attached(record: Record) -> shapes.Attached:
    view = shapes.Attached(
        id=record["volume_id"], volume_id=record["volume_id"], server_id=record["server_id"] or UNSET
    )
    return msgspec.structs.replace(view, device=record["device"]) if record.get("device") else view


def snapshot_view(record: Record) -> shapes.Snapshot:
    names = ("id", "volume_id", "status", "size", "created_at", "name", "description")
    return shapes.Snapshot(**{name: record[name] for name in names})
