"""A server's tags, since 2.26."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from kilonova.compute.errors import InvalidState
from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import CALM, ServerLogic, owned
from kilonova.compute.store import servers as store
from kilonova.compute.web.fields import Tag
from kilonova.compute.web.links import root
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.errors import BadRequest, NotFound
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Body, View

RULE, FIRST = f"{R}:os-server-tags", "2.26"
RULES = {
    f"{RULE}:index": READER,
    f"{RULE}:show": READER,
    f"{RULE}:update": MEMBER,
    f"{RULE}:update_all": MEMBER,
    f"{RULE}:delete": MEMBER,
    f"{RULE}:delete_all": MEMBER,
}
MAX_TAGS = 50
Tags = list[str]


class TagNotFound(NotFound):
    template = "Instance {server_id} has no tag '{tag}'"


class TooManyTags(BadRequest):
    template = "The number of tags exceeded the per-server limit {limit}"


class InvalidTag(BadRequest):
    template = "Tag '{tag}' is invalid. It must be a non empty string without characters '/' and ','."


class MissingTag(NotFound):
    template = "Server {server_id} has no tag '{tag}'"


class TagsIn(Body, kw_only=True):
    tags: Annotated[list[Tag], Meta(max_length=MAX_TAGS)]


class TagsBody(View, kw_only=True):
    tags: Tags


class TagLogic:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock

    @retried
    async def edit(
        self, ctx: RequestContext, server_id: str, action: str, edit: Callable[[Tags], Tags]
    ) -> tuple[Tags, Tags]:
        """(tags before, tags after)."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            if row.vm_state not in CALM:
                raise InvalidState(action=action, server_id=server_id, attribute="vm_state", state=row.vm_state)
            tags = edit(list(row.tags))
            if len(tags) > MAX_TAGS:
                raise TooManyTags(limit=MAX_TAGS)
            if tags != row.tags:
                await store.change(tx.connection, row.uuid, {"tags": tags}, self.clock.row_time())
            return row.tags, tags


class ServerTags:
    def __init__(self, servers: ServerLogic, items: TagLogic) -> None:
        self.servers, self.items = servers, items

    async def list(self, call: Call, server_id: str) -> Reply:
        return Reply(TagsBody(tags=(await self.servers.get(call.ctx, server_id)).tags))

    async def show(self, call: Call, server_id: str, tag: str) -> Reply:
        if tag not in (await self.servers.get(call.ctx, server_id)).tags:
            raise MissingTag(server_id=server_id, tag=tag)
        return Reply()

    async def add(self, call: Call, server_id: str, tag: str) -> Reply:
        if "," in tag or len(tag) > 60:
            raise InvalidTag(tag=tag)
        before, _ = await self.items.edit(
            call.ctx, server_id, "update tag", lambda tags: tags if tag in tags else [*tags, tag]
        )
        if tag in before:
            return Reply(status=204)
        return Reply(status=201, headers={"Location": f"{call.base_url}{root(call)}/servers/{server_id}/tags/{tag}"})

    async def replace(self, call: Call, server_id: str) -> Reply:
        given = [*dict.fromkeys((await call.decode(TagsIn)).tags)]
        _, tags = await self.items.edit(call.ctx, server_id, "update tags", lambda _: given)
        return Reply(TagsBody(tags=tags))

    async def delete(self, call: Call, server_id: str, tag: str) -> Reply:
        def without(tags: Tags) -> Tags:
            if tag not in tags:
                raise TagNotFound(server_id=server_id, tag=tag)
            return [kept for kept in tags if kept != tag]

        await self.items.edit(call.ctx, server_id, "delete tag", without)
        return Reply()

    async def clear(self, call: Call, server_id: str) -> Reply:
        await self.items.edit(call.ctx, server_id, "delete tags", lambda _: [])
        return Reply()


def routes(deps: Deps) -> list[Route]:
    tags = ServerTags(
        ServerLogic(deps.database, deps.clock, deps.options), TagLogic(deps.database, deps.clock)
    )  # fmt: skip
    every, one = SERVER + "/tags", SERVER + "/tags/{tag:str}"
    return below_server(
        deps,
        Route("GET", every, tags.list, f"{RULE}:index", since=FIRST, reply=TagsBody, summary="List a server's tags."),
        Route(
            "PUT", every, tags.replace, f"{RULE}:update_all", since=FIRST, body=TagsIn, reply=TagsBody,
            summary="Replace a server's tags.",
        ),
        Route("DELETE", every, tags.clear, f"{RULE}:delete_all", 204, since=FIRST, summary="Delete a server's tags."),
        Route("GET", one, tags.show, f"{RULE}:show", 204, since=FIRST, summary="Check that a server has a tag."),
        Route("PUT", one, tags.add, f"{RULE}:update", 201, since=FIRST, summary="Give a server a tag."),
        Route("DELETE", one, tags.delete, f"{RULE}:delete", 204, since=FIRST, summary="Delete a tag of a server."),
    )  # fmt: skip


SERVER_TAGS = Resource(routes, RULES)
