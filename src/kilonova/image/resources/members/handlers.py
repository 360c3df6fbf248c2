"""Members of shared images over HTTP."""

from __future__ import annotations

from kilonova.core import errors as core_errors
from kilonova.core.web.call import Call, Reply
from kilonova.image import errors
from kilonova.image.fields import MEMBER_FIELDS, check
from kilonova.image.resources.images.access import fetch
from kilonova.image.resources.images.logic import target_of
from kilonova.image.resources.images.schemas import ImageRecord
from kilonova.image.resources.members import schemas as shapes
from kilonova.image.resources.members.logic import MemberLogic
from kilonova.image.store.members import MemberRow


class Members:
    def __init__(self, logic: MemberLogic) -> None:
        self.logic = logic

    def _view(self, row: MemberRow) -> shapes.Member:
        return shapes.Member(
            member_id=row.member,
            image_id=row.image_id,
            status=row.status,
            created_at=row.created_at[:19] + "Z",
            updated_at=row.updated_at[:19] + "Z",
        )

    async def list(self, call: Call, image_id: str) -> Reply:
        image = await fetch(call, self.logic.images, image_id, "get_image")
        if image.visibility != "shared":
            raise core_errors.Forbidden(
                f"Not allowed to list members for image {image.id}: {errors.NotShared.template}"
            )
        await fetch(call, self.logic.images, image_id, "get_members")
        rows = await self.logic.list(call.ctx, image)
        return Reply(shapes.Members(members=[self._view(row) for row in rows]))

    async def create(self, call: Call, image_id: str) -> Reply:
        body = await call.decode(shapes.MemberCreate)
        check(MEMBER_FIELDS, {"member_id": body.member}, "member")
        if not body.member:
            raise core_errors.BadRequest("Member can't be empty")
        image = await fetch(call, self.logic.images, image_id, "get_image")
        if image.visibility != "shared":
            raise core_errors.Forbidden(f"Not allowed to create members for image {image.id}.")
        await fetch(call, self.logic.images, image_id, "add_member")
        return Reply(self._view(await self.logic.add(image, body.member)))

    async def show(self, call: Call, image_id: str, member: str) -> Reply:
        _, row = await self._fetch(call, image_id, member)
        return Reply(self._view(row))

    async def update(self, call: Call, image_id: str, member: str) -> Reply:
        body = await call.decode(shapes.MemberUpdate)
        check(MEMBER_FIELDS, {"status": body.status}, "member")
        image, row = await self._fetch(call, image_id, member)
        call.authorize(target_of(image, row.member), "modify_member")
        return Reply(self._view(await self.logic.set_status(image, row, body.status)))

    async def delete(self, call: Call, image_id: str, member: str) -> Reply:
        image, row = await self._fetch(call, image_id, member)
        call.authorize(target_of(image, row.member), "delete_member")
        await self.logic.remove(row)
        return Reply()

    async def _fetch(self, call: Call, image_id: str, member: str) -> tuple[ImageRecord, MemberRow]:
        """The image and the membership; a membership of others is not found."""
        image = await fetch(call, self.logic.images, image_id, "get_image")
        if image.visibility != "shared":
            raise core_errors.NotFound(errors.NotShared.template)
        row = await self.logic.get(image, member)
        if not call.allowed("get_member", target_of(image, row.member)):
            raise errors.MemberNotFound(member_id=member, image_id=image.id)
        return image, row
