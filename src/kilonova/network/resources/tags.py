"""Tags: the same routes under every resource that has them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from kilonova.core import errors as core_errors
from kilonova.core.db import Connection, retried
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.validation_errors import violation_of
from kilonova.core.web.wire import View
from kilonova.network import errors
from kilonova.network.resources.base.facts import Guard
from kilonova.network.resources.base.handlers import Replies
from kilonova.network.resources.base.logic import ReadLogic
from kilonova.network.resources.base.resource import ID, V2, Api, CrudResource, Resource
from kilonova.network.resources.base.schemas import Tag, TagsBody
from kilonova.network.store import tags as store

MAX_TAGS = 50
Names = list[str]


class TagList(View):
    tags: list[str]


class TagLogic:
    """Of the objects of one resource."""

    def __init__(self, owner: ReadLogic[Any, Any]) -> None:
        self.owner, self.database = owner, owner.deps.database

    async def of(self, object_id: str, guard: Guard) -> Names:
        return list((await self.owner.get(object_id, guard)).tags)

    @asynccontextmanager
    async def _changing(self, object_id: str, guard: Guard) -> AsyncIterator[Connection]:
        """The object has its next revision, and no other tags than before until the transaction ends."""
        async with self.database.transaction() as tx:
            await self.owner.guarded(tx.connection, object_id, guard, lock=True)
            await self.owner.objects.change(tx.connection, object_id, {}, self.owner.deps.now())
            yield tx.connection

    @retried
    async def replace(self, object_id: str, tags: Sequence[str], guard: Guard) -> Names:
        async with self._changing(object_id, guard) as connection:
            await store.remove_all(connection, [object_id])
            if tags:
                await store.add(connection, [(object_id, tag) for tag in tags])
        return sorted(set(tags))

    @retried
    async def add(self, object_id: str, tags: Sequence[str], guard: Guard) -> Names:
        """Adding one that is there already is no error."""
        async with self._changing(object_id, guard) as connection:
            have = (await store.tags_of(connection, [object_id])).get(object_id, [])
            every = sorted({*have, *tags})
            if len(every) > MAX_TAGS:
                raise errors.HTTPBadRequest(reason=f"The number of tags exceed the per-resource limit of {MAX_TAGS}")
            await store.add(connection, [(object_id, tag) for tag in tags])
        return every

    @retried
    async def remove(self, object_id: str, tag: str, guard: Guard) -> None:
        async with self._changing(object_id, guard) as connection:
            if not await store.remove(connection, object_id, [tag]):
                raise errors.TagNotFound(tag=tag)

    @retried
    async def clear(self, object_id: str, guard: Guard) -> None:
        async with self._changing(object_id, guard) as connection:
            await store.remove_all(connection, [object_id])


class Tags:
    """Of the objects of one resource; callers that may change an object may change its tags."""

    def __init__(self, owner: Replies[Any]) -> None:
        self.owner, self.logic = owner, TagLogic(owner.logic)

    async def _body(self, call: Call) -> Names:
        try:
            return (await call.decode(TagsBody)).tags
        except core_errors.BadRequest as error:
            raise errors.InvalidInput(reason=error.message) from None

    async def list(self, call: Call, id: str) -> Reply:
        return Reply(TagList(tags=await self.logic.of(id, self.owner.guard(call, "get"))))

    async def replace(self, call: Call, id: str) -> Reply:
        tags = await self._body(call)
        return Reply(TagList(tags=await self.logic.replace(id, tags, self.owner.guard(call, "update"))))

    async def extend(self, call: Call, id: str) -> Reply:
        tags = await self._body(call)
        return Reply(TagList(tags=await self.logic.add(id, tags, self.owner.guard(call, "update"))))

    async def clear(self, call: Call, id: str) -> Reply:
        await self.logic.clear(id, self.owner.guard(call, "update"))
        return Reply()

    async def show(self, call: Call, id: str, tag: str) -> Reply:
        if tag not in await self.logic.of(id, self.owner.guard(call, "get")):
            raise errors.TagNotFound(tag=tag)
        return Reply()

    async def add(self, call: Call, id: str, tag: str) -> Reply:
        try:
            msgspec.convert(tag, Tag)
        except msgspec.ValidationError as error:
            raise errors.InvalidInput(
                reason=f"'{tag[:64]}' is not a valid tag: it {violation_of(error, Tag).what}"
            ) from None
        await self.logic.add(id, [tag], self.owner.guard(call, "update"))
        return Reply()

    async def remove(self, call: Call, id: str, tag: str) -> Reply:
        await self.logic.remove(id, tag, self.owner.guard(call, "update"))
        return Reply()


def routes(api: Api) -> list[Route]:
    tagged = [(resource, handlers) for resource, handlers in api.handlers.items() if resource.tagged]
    return [route for resource, handlers in tagged for route in _routes(resource, Tags(handlers))]


def _routes(of: CrudResource, tags: Tags) -> Iterator[Route]:
    for path in filter(None, (of.path, of.tags_also_at)):
        yield from _routes_at(path, of, tags)


def _routes_at(path: str, of: CrudResource, tags: Tags) -> Iterator[Route]:
    see, change, a = f"get_{of.name}", f"update_{of.name}", of.a_noun
    every = f"{V2}/{path}{ID}/tags"
    one = every + "/{tag:str}"
    yield Route("GET", every, tags.list, see, reply=TagList, summary=f"List the tags of {a}.")
    yield Route("PUT", every, tags.replace, change, body=TagsBody, reply=TagList, summary=f"Set the tags of {a}.")
    yield Route("POST", every, tags.extend, change, 201, body=TagsBody, reply=TagList, summary=f"Add tags to {a}.")
    yield Route("DELETE", every, tags.clear, change, 204, summary=f"Delete all tags of {a}.")
    yield Route("GET", one, tags.show, see, 204, summary=f"Check whether {a} has a tag.")
    yield Route("PUT", one, tags.add, change, 201, summary=f"Add a tag to {a}.")
    yield Route("DELETE", one, tags.remove, change, 204, summary=f"Delete a tag of {a}.")


TAGS_RESOURCE = Resource(routes)
