"""Rules of sharing: the owner names projects, each of them accepts or rejects."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.image import errors
from kilonova.image.resources.images.logic import ImageLogic
from kilonova.image.resources.images.schemas import ImageRecord
from kilonova.image.store import images as image_store
from kilonova.image.store import members as store
from kilonova.image.store.members import MemberRow


class MemberLogic:
    def __init__(self, images: ImageLogic) -> None:
        self.images = images
        self.database: Database = images.database

    async def list(self, ctx: RequestContext, image: ImageRecord) -> Sequence[MemberRow]:
        """All members for the owner and admins; a member sees itself."""
        async with self.database.reading() as connection:
            rows = await store.of_image(connection, image.id)
        if ctx.is_admin or (ctx.project_id is not None and ctx.project_id == image.owner):
            return rows
        return [row for row in rows if row.member == ctx.project_id]

    async def get(self, image: ImageRecord, member: str) -> MemberRow:
        async with self.database.reading() as connection:
            row = await store.find(connection, image.id, member)
        if row is None:
            raise errors.MemberNotFound(member_id=member, image_id=image.id)
        return row

    @retried
    async def add(self, image: ImageRecord, member: str) -> MemberRow:
        now = self.images.now()
        async with self.database.transaction() as tx:
            if await image_store.find(tx.connection, image.id, lock=True) is None:
                raise errors.ImageNotFound(image_id=image.id)
            held = await store.of_image(tx.connection, image.id)
            if any(row.member == member for row in held):
                raise errors.MemberExists(member_id=member, image_id=image.id)
            maximum = self.images.options.max_members
            if len(held) >= maximum:
                raise errors.LimitExceeded(what="members", attempted=len(held) + 1, maximum=maximum)
            await store.add(
                tx.connection,
                {"image_id": image.id, "member": member, "status": "pending", "created_at": now, "updated_at": now},
            )
        return await self.get(image, member)

    @retried
    async def set_status(self, image: ImageRecord, row: MemberRow, status: str) -> MemberRow:
        async with self.database.transaction() as tx:
            await store.change(tx.connection, row.id, {"status": status, "updated_at": self.images.now()})
        return await self.get(image, row.member)

    @retried
    async def remove(self, row: MemberRow) -> None:
        async with self.database.transaction() as tx:
            await store.remove(tx.connection, row.id)
