"""New volumes: what they are made of, how large they are, of which type."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried
from kilonova.image.client import ImageRecord
from kilonova.volume import errors
from kilonova.volume.fields import truth
from kilonova.volume.resources.base import scope_of
from kilonova.volume.resources.volumes.logic import VolumeLogic
from kilonova.volume.resources.volumes.schemas import VolumeNew
from kilonova.volume.store import default_types, encryption, items, services, types
from kilonova.volume.store.snapshots import SNAPSHOTS
from kilonova.volume.store.types import TYPES, TypeRow
from kilonova.volume.store.volumes import VOLUMES, VolumeRow

GIB = 1 << 30
IMAGE_FACTS = ("checksum", "container_format", "disk_format", "min_disk", "min_ram", "size")


class Source(msgspec.Struct, kw_only=True):
    """What a volume is made of: nothing, or one of these. `least` is the smallest size, GiB; `pool` the only back end that has
    it."""

    least: int = 1
    pool: str | None = None
    type_id: str | None = None
    image: ImageRecord | None = None
    volume: VolumeRow | None = None
    snapshot_id: str | None = None
    bootable: bool = False
    facts: dict[str, str] = {}


class Creation:
    def __init__(self, volumes: VolumeLogic) -> None:
        self.volumes, self.deps, self.database = volumes, volumes.deps, volumes.database

    async def create(self, ctx: RequestContext, asked: VolumeNew, hints: dict[str, Any], volume_id: str | None) -> str:
        """The new volume's id: the given one, of a volume that is there already where it was ordered before."""
        image_id = asked.image_ref or asked.image_id
        if sum(1 for one in (asked.snapshot_id, asked.source_volid, image_id) if one) > 1:
            raise errors.InvalidInput(reason="A volume has one source at most: a snapshot, a volume or an image.")
        image = await self._image(ctx, image_id) if image_id else None
        return await self._record(ctx, asked, hints, image, volume_id or self.deps.clock.uuid())

    async def _image(self, ctx: RequestContext, image_id: str) -> ImageRecord:
        try:
            image = await self.deps.images.get(ctx, image_id)
        except core_errors.NotFound:
            raise core_errors.BadRequest("Invalid image identifier or unable to access requested image.") from None
        if image.status != "active":
            raise errors.InvalidInput(reason=f"Image {image_id} is not active.")
        return image

    @retried
    async def _record(
        self, ctx: RequestContext, asked: VolumeNew, hints: dict[str, Any], image: ImageRecord | None, volume_id: str
    ) -> str:
        async with self.database.transaction() as tx:
            known = await VOLUMES.get(tx.connection, volume_id)
            if known is not None:
                if known.project_id != ctx.project_id:
                    raise core_errors.Conflict(f"Volume {volume_id} is another project's.")
                return known.id
            source = await self._source(tx.connection, ctx, asked, image)
            kind = await self._type(tx.connection, ctx, asked.volume_type, source)
            if await encryption.get(tx.connection, kind.id) is not None:
                raise errors.NoEncryptedVolumes(name=kind.name)
            specs = (await items.of(tx.connection, items.EXTRA_SPECS, [kind.id]))[kind.id]
            size, zone = _size(asked.size, source), await self._zone(tx.connection, asked.availability_zone)
            await self.volumes.quotas.check_volumes(
                tx.connection, str(ctx.project_id), kind.name, number=1, size=size, each=size
            )
            new: dict[str, Any] = {
                "id": volume_id, "project_id": ctx.project_id, "user_id": ctx.user_id or "", "size": size, "quota_size": size,
                "name": asked.name, "description": asked.description, "status": "creating", "bootable": source.bootable,
                "multiattach": is_set(specs.get("multiattach")), "encrypted": False, "readonly": False,
                "availability_zone": zone, "type_id": kind.id, "snapshot_id": source.snapshot_id,
                "source_volid": asked.source_volid, "image_id": image.id if image else None,
                "created_at": self.deps.clock.row_time(),
            }  # fmt: skip
            await VOLUMES.add(tx.connection, **new)
            await items.put(tx.connection, items.METADATA, volume_id, asked.metadata or {})
            await items.put(tx.connection, items.IMAGE, volume_id, source.facts)
            row = await self.volumes.find(tx.connection, ctx, volume_id)
            await self.volumes.dispatch.begin(
                tx, ctx, "create_volume", row, volume=row, snapshot_id=source.snapshot_id,
                source_id=source.volume.id if source.volume else None, image_id=row.image_id,
                hints=hints | ({"pool": source.pool} if source.pool else {}),
            )  # fmt: skip
        return row.id

    async def _source(
        self, connection: Connection, ctx: RequestContext, asked: VolumeNew, image: ImageRecord | None
    ) -> Source:
        if asked.snapshot_id:
            return await self._from_snapshot(connection, ctx, asked.snapshot_id)
        if asked.source_volid:
            volume = await self.volumes.find(connection, ctx, asked.source_volid)
            if volume.status not in ("available", "in-use"):
                raise errors.InvalidVolume(reason=f"Source volume {volume.id} is {volume.status}.")
            return await self._copied(connection, volume, volume.size)
        return _from_image(image) if image is not None else Source()

    async def _from_snapshot(self, connection: Connection, ctx: RequestContext, snapshot_id: str) -> Source:
        snapshot = await SNAPSHOTS.get(connection, snapshot_id)
        if snapshot is None or scope_of(ctx) not in (None, snapshot.project_id):
            raise errors.SnapshotNotFound(snapshot_id=snapshot_id)
        if snapshot.status != "available":
            raise errors.InvalidSnapshot(reason=f"Snapshot {snapshot_id} is {snapshot.status}.")
        volume = await VOLUMES.get(connection, snapshot.volume_id)
        if volume is None:
            raise errors.SnapshotNotFound(snapshot_id=snapshot_id)
        source = await self._copied(connection, volume, snapshot.size)
        source.snapshot_id = snapshot.id
        return source

    async def _copied(self, connection: Connection, volume: VolumeRow, least: int) -> Source:
        facts = (await items.of(connection, items.IMAGE, [volume.id]))[volume.id]
        return Source(
            least=least, pool=volume.host, type_id=volume.type_id, volume=volume, bootable=volume.bootable, facts=facts
        )

    async def _type(self, connection: Connection, ctx: RequestContext, asked: str | None, source: Source) -> TypeRow:
        """The one that is asked for, else the source's, else the project's or the cloud's default."""
        if asked:
            found = await types.named(connection, asked, seen_by=None if ctx.is_admin else ctx.project_id)
            if found is None:
                raise errors.TypeNotFound(type_id=asked)
            return found
        if source.type_id is not None and (own := await TYPES.get(connection, source.type_id)) is not None:
            return own
        own_default = await default_types.find(connection, str(ctx.project_id))
        if own_default and (chosen := await TYPES.get(connection, own_default[0].type_id)) is not None:
            return chosen
        default = await types.named(connection, self.deps.options.default_volume_type)
        if default is None:
            raise errors.TypeNameNotFound(name=self.deps.options.default_volume_type)
        return default

    async def _zone(self, connection: Connection, asked: str | None) -> str | None:
        if asked is None or asked == self.deps.options.availability_zone:
            return asked
        if asked in {row.availability_zone for row in await services.find(connection, binary=services.BACKEND)}:
            return asked
        raise errors.InvalidInput(reason=f"Availability zone '{asked}' is invalid.")


def _from_image(image: ImageRecord) -> Source:
    facts = {name: str(value) for name in IMAGE_FACTS if (value := getattr(image, name)) is not None}
    facts |= {"image_id": image.id, "image_name": image.name or ""}
    least = max(image.min_disk, -(-max(image.size or 0, image.virtual_size or 0) // GIB), 1)
    return Source(least=least, image=image, bootable=True, facts=facts | image.properties)


def _size(asked: Any, source: Source) -> int:
    if asked is None:
        if source.volume is None:
            raise errors.InvalidInput(reason=f"Volume size '{asked}' must be an integer and greater than 0")
        return source.least
    if not str(asked).isdecimal() or not 0 < int(asked) <= 2147483647:
        raise errors.InvalidInput(reason=f"Volume size '{str(asked)[:40]}' must be an integer and greater than 0")
    size = int(asked)
    if size < source.least:
        what = "image" if source.image is not None else "snapshot" if source.snapshot_id else "source volume"
        raise errors.InvalidInput(
            reason=f"Volume size '{size}'GB cannot be smaller than the {what} size {source.least}GB. "
            "It must be >= the original size."
        )
    return size


def is_set(spec: str | None) -> bool:
    """`<is> True`, as extra specs say yes."""
    return spec is not None and truth(spec.removeprefix("<is>").strip())
