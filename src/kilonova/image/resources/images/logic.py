"""Rules of images: visibility, what may be set, how they end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from kilonova.core import log
from kilonova.core.clock import Clock, iso_micro
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, retried
from kilonova.image import errors
from kilonova.image.options import ImageOptions
from kilonova.image.quotas import QuotaLogic
from kilonova.image.resources.images.list_query import ListQuery
from kilonova.image.resources.images.schemas import FIXED, ImageRecord
from kilonova.image.store import images as store
from kilonova.image.store import listing
from kilonova.image.store import members as member_store
from kilonova.image.stores.base import ImageStore, StoreFailed

logger = log.get("image")
DEFAULTS: dict[str, Any] = {
    "name": None, "visibility": "shared", "protected": False, "os_hidden": False, "min_disk": 0, "min_ram": 0,
    "disk_format": None, "container_format": None,
}  # fmt: skip
# action → (the status it starts from, where it ends)
ACTIONS = {"deactivate": ("active", "deactivated"), "reactivate": ("deactivated", "active")}


class Seen(msgspec.Struct, frozen=True):
    """An image that the caller may know of, and what policy rules ask about it."""

    image: ImageRecord
    target: dict[str, Any]


def parse_id(text: str) -> str:
    """The id as stored; raises ImageNotFound for what can't be one."""
    try:
        found = str(UUID(text))
    except ValueError:
        raise errors.ImageNotFound(image_id=text) from None
    if found != text.lower():
        raise errors.ImageNotFound(image_id=text)
    return found


def granted(ctx: RequestContext, image_id: str) -> bool:
    """Whether a compute host was given a server from this image, or is to fill it with a server's disk."""
    return ctx.grant is not None and ctx.grant.fresh and image_id in (*ctx.grant.images, *ctx.grant.fills)


def may_fill(ctx: RequestContext, image_id: str) -> bool:
    """Whether the caller, if it is a compute host, is to fill this image."""
    return not ctx.is_host or (ctx.grant is not None and image_id in ctx.grant.fills)


def target_of(image: ImageRecord, member: str | None) -> dict[str, Any]:
    owner = image.owner or ""
    found = {"project_id": owner, "tenant_id": owner, "owner": owner, "visibility": image.visibility}
    return found if member is None else found | {"member_id": member}


class ImageLogic:
    def __init__(self, database: Database, clock: Clock, options: ImageOptions, data: ImageStore) -> None:
        self.database, self.clock, self.options, self.data = database, clock, options, data
        self.quotas = QuotaLogic(database, options)

    def now(self) -> str:
        return iso_micro(self.clock.now())

    async def see(self, ctx: RequestContext, image_id: str) -> Seen:
        """The image if this caller may know that it exists; else ImageNotFound."""
        async with self.database.reading() as connection:
            return await self._see(connection, ctx, parse_id(image_id))

    async def _see(self, connection: Connection, ctx: RequestContext, image_id: str) -> Seen:
        row = await store.find(connection, image_id)
        if row is None or (ctx.is_host and not granted(ctx, image_id)):
            raise errors.ImageNotFound(image_id=image_id)
        member = await self._membership(connection, ctx, row)
        open_to_all = row.visibility in ("public", "community")
        mine = ctx.project_id is not None and ctx.project_id == row.owner
        if not (open_to_all or mine or member or ctx.is_admin or ctx.is_host):
            raise errors.ImageNotFound(image_id=image_id)
        (image,) = await store.records(connection, [row])
        return Seen(image, target_of(image, member))

    async def _membership(self, connection: Connection, ctx: RequestContext, row: store.ImageRow) -> str | None:
        if row.visibility != "shared" or ctx.project_id is None or ctx.project_id == row.owner:
            return None
        found = await member_store.find(connection, row.id, ctx.project_id)
        return ctx.project_id if found is not None else None

    async def list(self, ctx: RequestContext, query: ListQuery) -> list[ImageRecord]:
        async with self.database.reading() as connection:
            marker = None
            if query.marker is not None:
                await self._marker(connection, ctx, query.marker)
                marker = await store.find(connection, query.marker)
            rows = await listing.page(connection, query, marker, ctx.project_id, everything=ctx.is_admin)
            return await store.records(connection, rows)

    async def _marker(self, connection: Connection, ctx: RequestContext, image_id: str) -> None:
        try:
            await self._see(connection, ctx, parse_id(image_id))
        except errors.ImageNotFound as error:
            raise errors.InvalidQuery(reason=error.message) from None

    @retried
    async def create(self, owner: str | None, body: dict[str, Any]) -> ImageRecord:
        """`body` was checked against the fields; the id must be new."""
        properties = {k: v for k, v in body.items() if k not in FIXED and v is not None}
        tags = sorted(set(body.get("tags", [])))
        self._check_limits(properties, tags)
        image_id = body["id"].lower() if "id" in body else self.clock.uuid()
        values = DEFAULTS | {k: v for k, v in body.items() if k in DEFAULTS}
        now = self.now()
        async with self.database.transaction() as tx:
            if await store.id_taken(tx.connection, image_id):
                raise errors.ImageExists(image_id=image_id)
            await self.quotas.check_new(tx.connection, owner)
            await store.add(
                tx.connection,
                values | {"id": image_id, "status": "queued", "owner": owner, "created_at": now, "updated_at": now},
            )
            await store.set_properties(tx.connection, image_id, properties)
            await store.set_tags(tx.connection, image_id, tags)
            return await self._record(tx.connection, image_id)

    async def _record(self, connection: Connection, image_id: str) -> ImageRecord:
        row = await store.find(connection, image_id)
        if row is None:
            raise errors.ImageNotFound(image_id=image_id)
        return (await store.records(connection, [row]))[0]

    def _check_limits(self, properties: dict[str, str], tags: Sequence[str]) -> None:
        for what, number, maximum in (
            ("properties", len(properties), self.options.max_properties),
            ("tags", len(tags), self.options.max_tags),
        ):
            if number > maximum:
                raise errors.LimitExceeded(what=what, attempted=number, maximum=maximum)

    @retried
    async def update(self, image_id: str, apply: Callable[[ImageRecord], ImageRecord]) -> ImageRecord:
        """Write what `apply` makes of the image; it is locked in between. The new state."""
        async with self.database.transaction() as tx:
            row = await store.find(tx.connection, image_id, lock=True)
            if row is None:
                raise errors.ImageNotFound(image_id=image_id)
            (before,) = await store.records(tx.connection, [row])
            after = apply(before)
            if after == before:
                return before
            self._check_limits(after.properties, after.tags)
            names = (*DEFAULTS, "owner")
            values = {n: getattr(after, n) for n in names if getattr(after, n) != getattr(before, n)}
            await store.change(tx.connection, image_id, values | {"updated_at": self.now()})
            if after.properties != before.properties:
                await store.set_properties(tx.connection, image_id, after.properties)
            if after.tags != before.tags:
                await store.set_tags(tx.connection, image_id, after.tags)
            return await self._record(tx.connection, image_id)

    @retried
    async def delete(self, image: ImageRecord) -> None:
        """First the record is taken from sight, then the data go; a crash in between is made good at the next start."""
        values = {"status": "pending_delete", "updated_at": self.now(), "upload_id": None}
        async with self.database.transaction() as tx:
            row = await store.find(tx.connection, image.id, lock=True)
            if row is not None and row.protected:
                raise errors.ImageProtected(image_id=image.id)
            if not await store.change(tx.connection, image.id, values):
                raise errors.ImageNotFound(image_id=image.id)
            await store.strip(tx.connection, image.id)
        try:
            await self.purge(image.id)
        except (OSError, StoreFailed) as error:
            logger.error("image data not removed, retried at the next start", image_id=image.id, reason=str(error))

    @retried
    async def purge(self, image_id: str) -> None:
        """Remove the data of an image that is pending deletion."""
        await asyncio.to_thread(self.data.delete, UUID(image_id))
        async with self.database.transaction() as tx:
            await store.change(tx.connection, image_id, {"status": "deleted"}, status=("pending_delete",))

    @retried
    async def act(self, image: ImageRecord, action: str) -> None:
        """Deactivate or reactivate; nothing happens when it is so already."""
        begin, end = ACTIONS[action]
        if image.status == end:
            return
        async with self.database.transaction() as tx:
            values = {"status": end, "updated_at": self.now()}
            if image.status != begin or not await store.change(tx.connection, image.id, values, status=(begin,)):
                raise errors.WrongStatusForAction(action=action, status=image.status)
