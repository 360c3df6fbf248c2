"""The request to make a server's disks anew: checked, and recorded together with what else of the server it changes."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.peers import ImageReader
from kilonova.compute.resources.quotas.counting import limits_of
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.logic import ActionLogic
from kilonova.compute.resources.servers import errors as launch_errors
from kilonova.compute.resources.servers.launch.checks import key_pair_of
from kilonova.compute.resources.servers.launch.image import check_fits, resolve_image
from kilonova.compute.resources.servers.launch.limits import check_items
from kilonova.compute.store import block_devices, request_specs
from kilonova.compute.store import servers as store
from kilonova.compute.store.servers import ServerRow
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried

REBUILD = "rebuild"
OTHER_IMAGE = "Unable to rebuild with a different image for a volume-backed server."


class RebuildWish(msgspec.Struct, kw_only=True):
    """`values` are columns that change. `personality` None and `key_name` UNSET stay as they are; a `key_name` of None takes the
    key away."""

    image_id: str
    admin_pass: str
    values: dict[str, Any]
    personality: list[models.PersonalityFile] | None = None
    key_name: str | msgspec.UnsetType | None = msgspec.UNSET
    preserve_ephemeral: bool = False


class RebuildLogic:
    def __init__(self, actions: ActionLogic, images: ImageReader) -> None:
        self.actions, self.images = actions, images
        self.database, self.clock, self.options = actions.database, actions.clock, actions.options

    async def rebuild(self, ctx: RequestContext, row: ServerRow, wish: RebuildWish) -> None:
        """Raises UnknownImage, ImageNotActive, ImageUnacceptable, FlavorDiskTooSmall and its like, UnknownKeyPair, TooMany,
        InvalidState, ServerLocked, NotReady."""
        image = await resolve_image(self.images, ctx, wish.image_id)
        if row.image_id is not None:  # else the root disk is a volume, which stays
            check_fits(msgspec.convert(row.flavor, models.Flavor), image, zero_disk_allowed=True)
        await self._record(ctx, row.uuid, wish, image)

    @retried
    async def _record(self, ctx: RequestContext, server_id: str, wish: RebuildWish, image: models.Image) -> None:
        async with self.database.transaction() as tx:
            row = await self.actions.take(tx, ctx, server_id, REBUILD)
            await self._check_limits(tx.connection, ctx, row, wish)
            spec = await request_specs.get(tx.connection, row.uuid)
            if spec is None:
                raise errors.NotReady(server_id=row.uuid)
            values = wish.values | {"progress": 0}
            if not spec.volume_backed:
                spec.image = image
                values["image_id"] = image.id
                await block_devices.set_image(tx.connection, row.uuid, image.id)
            elif spec.image is None or spec.image.id != image.id:
                raise launch_errors.ImageUnacceptable(image_id=image.id, reason=OTHER_IMAGE)
            spec.admin_pass, spec.preserve_ephemeral = wish.admin_pass, wish.preserve_ephemeral
            spec.rescue = None  # of an attempt that failed
            if wish.personality is not None:
                spec.personality = wish.personality
            if not isinstance(wish.key_name, msgspec.UnsetType):
                spec.key_pair = await key_pair_of(tx.connection, ctx, wish.key_name) if wish.key_name else None
                values["key_name"] = wish.key_name or None
            await request_specs.save(tx.connection, row.uuid, spec)
            await store.change(tx.connection, row.uuid, values, self.clock.row_time())
            await self.actions.send(tx, ctx, row, REBUILD)

    async def _check_limits(
        self, connection: Connection, ctx: RequestContext, row: ServerRow, wish: RebuildWish
    ) -> None:
        metadata, files = wish.values.get("metadata", {}), wish.personality or []
        if metadata or files:
            check_items(metadata, files, await limits_of(connection, self.options.quotas, row.project_id, ctx.user_id))
