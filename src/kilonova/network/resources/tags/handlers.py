"""Tags over HTTP: the same routes under every resource that has them."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.validation_errors import violation_of
from kilonova.network import errors
from kilonova.network.resources.base.handlers import Readable, guard
from kilonova.network.resources.base.schemas import Tag, TagsBody
from kilonova.network.resources.tags.logic import TagLogic


class Tags:
    """Tags of the objects of one resource; callers that may change an object may change its tags."""

    def __init__(self, logic: TagLogic, owner: Readable[Any]) -> None:
        self.logic, self.owner = logic, owner

    async def _body(self, call: Call) -> list[str]:
        try:
            return (await call.decode(TagsBody)).tags
        except core_errors.BadRequest as error:
            raise errors.InvalidInput(reason=error.message) from None

    async def list(self, call: Call, id: str) -> Reply:
        return Reply({"tags": await self.logic.of(self.owner.logic, id, guard(call, "get", self.owner.shape))})

    async def replace(self, call: Call, id: str) -> Reply:
        tags = await self._body(call)
        check = guard(call, "update", self.owner.shape)
        return Reply({"tags": await self.logic.replace(self.owner.logic, id, tags, check)})

    async def extend(self, call: Call, id: str) -> Reply:
        tags = await self._body(call)
        check = guard(call, "update", self.owner.shape)
        return Reply({"tags": await self.logic.add(self.owner.logic, id, tags, check)})

    async def clear(self, call: Call, id: str) -> Reply:
        await self.logic.clear(self.owner.logic, id, guard(call, "update", self.owner.shape))
        return Reply()

    async def show(self, call: Call, id: str, tag: str) -> Reply:
        if tag not in await self.logic.of(self.owner.logic, id, guard(call, "get", self.owner.shape)):
            raise errors.TagNotFound(tag=tag)
        return Reply()

    async def add(self, call: Call, id: str, tag: str) -> Reply:
        try:
            msgspec.convert(tag, Tag)
        except msgspec.ValidationError as error:
            raise errors.InvalidInput(
                reason=f"'{tag[:64]}' is not a valid tag: it {violation_of(error, Tag).what}"
            ) from None
        await self.logic.add(self.owner.logic, id, [tag], guard(call, "update", self.owner.shape))
        return Reply()

    async def remove(self, call: Call, id: str, tag: str) -> Reply:
        await self.logic.remove(self.owner.logic, id, tag, guard(call, "update", self.owner.shape))
        return Reply()
