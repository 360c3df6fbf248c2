"""Rules of quotas: how many images and bytes a project may have, counted in the transaction that adds to them. An upload
reserves bytes in its image's row before it stores them, so that uploads of one moment together never store more than the
quota."""

from __future__ import annotations

from kilonova.core.db import Connection, Database, retried
from kilonova.image import errors
from kilonova.image.options import ImageOptions, ImageQuotas
from kilonova.image.resources.images.schemas import ImageRecord
from kilonova.image.store import images as store
from kilonova.image.store import quotas

STEP = 64 << 20  # bytes that an upload of unknown size reserves at once


class QuotaLogic:
    def __init__(self, database: Database, options: ImageOptions) -> None:
        self.database, self.options = database, options

    def of(self, owner: str) -> ImageQuotas:
        return self.options.project_quotas.get(owner, self.options.quotas)

    async def usage(self, owner: str) -> quotas.Usage:
        async with self.database.reading() as connection:
            return await quotas.usage(connection, owner)

    async def check_new(self, connection: Connection, owner: str | None) -> None:
        """That one image more may be recorded in this transaction. What belongs to no project is not limited."""
        if owner is None or (limit := self.of(owner).image_count_total) < 0:
            return
        await quotas.turn(connection, owner)
        used = (await quotas.usage(connection, owner)).count
        _check(owner, "image_count_total", limit, used, 1)

    async def check_upload(self, connection: Connection, image: ImageRecord, announced: int | None) -> int:
        """That an upload may begin in this transaction; the bytes to reserve for it."""
        if image.owner is None:
            return 0
        limits = self.of(image.owner)
        await quotas.turn(connection, image.owner)
        used = await quotas.usage(connection, image.owner, but=image.id)
        if limits.image_count_uploading >= 0:
            _check(image.owner, "image_count_uploading", limits.image_count_uploading, used.uploading, 1)
        if limits.image_size_total < 0:
            return 0
        _check(image.owner, "image_size_total", limits.image_size_total, used.size, announced or 1)
        return announced or 0

    @retried
    async def reserve(self, image: ImageRecord, upload_id: str, size: int, reserved: int) -> int:
        """As many bytes for the upload as `size` and more, where there is room; how many. `reserved` are those so far."""
        assert image.owner is not None  # noqa: S101 - else nothing is limited
        limit = self.of(image.owner).image_size_total
        async with self.database.transaction() as tx:
            await quotas.turn(tx.connection, image.owner)
            used = (await quotas.usage(tx.connection, image.owner, but=image.id)).size
            _check(image.owner, "image_size_total", limit, used, size)
            more = min(max(size, reserved + STEP), limit - used)
            values = {"reserved": more}
            if not await store.change(tx.connection, image.id, values, status=("saving",), upload_id=upload_id):
                raise errors.DeletedDuringUpload(image_id=image.id)
        return more


class Reserved:
    """The bytes that an upload may store, `held` of them so far; grows as data come."""

    def __init__(self, logic: QuotaLogic, image: ImageRecord, upload_id: str, held: int) -> None:
        self._logic, self._image, self._upload_id, self._held = logic, image, upload_id, held
        self._limited = image.owner is not None and logic.of(image.owner).image_size_total >= 0

    async def reach(self, size: int) -> None:
        """Raises OverQuota where the project has no room for an image of so many bytes."""
        if self._limited and size > self._held:
            self._held = await self._logic.reserve(self._image, self._upload_id, size, self._held)


def _check(owner: str, resource: str, limit: int, used: int, delta: int) -> None:
    if used + delta > limit:
        raise errors.OverQuota(project_id=owner, resource=resource, limit=limit, used=used, delta=delta)
