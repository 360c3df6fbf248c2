"""A server's metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from kilonova.compute.errors import InvalidState, TooMany
from kilonova.compute.options import ComputeOptions
from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import Deps, R, Resource
from kilonova.compute.resources.quotas.counting import limits_of
from kilonova.compute.resources.server_actions.logic import check_lock
from kilonova.compute.resources.servers.below import SERVER, below_server
from kilonova.compute.resources.servers.logic import CALM, ServerLogic, owned
from kilonova.compute.store import servers as store
from kilonova.compute.web.fields import Metadata
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.errors import BadRequest, NotFound
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Body, View

RULE = f"{R}:server-metadata"
RULES = {
    f"{RULE}:index": READER,
    f"{RULE}:show": READER,
    f"{RULE}:create": MEMBER,
    f"{RULE}:update_all": MEMBER,
    f"{RULE}:update": MEMBER,
    f"{RULE}:delete": MEMBER,
}
SET, DELETE = "update metadata", "delete metadata"


class MetadataNotFound(NotFound):
    template = "Metadata item was not found"


class UriMismatch(BadRequest):
    template = "Request body and URI mismatch"


class MetadataIn(Body, kw_only=True):
    metadata: Metadata


class ItemIn(Body, kw_only=True):
    meta: Annotated[Metadata, Meta(min_length=1, max_length=1)]


class MetadataBody(View, kw_only=True):
    metadata: dict[str, str]


class ItemBody(View, kw_only=True):
    meta: dict[str, str]


class MetadataLogic:
    def __init__(self, database: Database, clock: Clock, options: ComputeOptions) -> None:
        self.database, self.clock, self.options = database, clock, options

    @retried
    async def edit(
        self, ctx: RequestContext, server_id: str, action: str, edit: Callable[[dict[str, str]], dict[str, str]]
    ) -> dict[str, str]:
        """`edit` makes the new items of the old ones; `action` names it where it is refused."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            check_lock(ctx, row)
            if row.vm_state not in CALM:
                raise InvalidState(action=action, server_id=server_id, attribute="vm_state", state=row.vm_state)
            items = edit(dict(row.metadata))
            limits = await limits_of(tx.connection, self.options.quotas, row.project_id, ctx.user_id)
            limit = limits["metadata_items"]
            if 0 <= limit < len(items):
                raise TooMany(reason=f"Maximum number of metadata items exceeds {limit}")
            await store.change(tx.connection, row.uuid, {"metadata": items}, self.clock.row_time())
            return items


class ServerMetadata:
    def __init__(self, servers: ServerLogic, items: MetadataLogic) -> None:
        self.servers, self.items = servers, items

    async def list(self, call: Call, server_id: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        return Reply(MetadataBody(metadata=row.metadata))

    async def show(self, call: Call, server_id: str, key: str) -> Reply:
        row = await self.servers.get(call.ctx, server_id)
        if key not in row.metadata:
            raise MetadataNotFound
        return Reply(ItemBody(meta={key: row.metadata[key]}))

    async def add(self, call: Call, server_id: str) -> Reply:
        given = (await call.decode(MetadataIn)).metadata
        kept = await self.items.edit(call.ctx, server_id, SET, lambda items: items | given)
        return Reply(MetadataBody(metadata=kept))

    async def replace(self, call: Call, server_id: str) -> Reply:
        given = (await call.decode(MetadataIn)).metadata
        kept = await self.items.edit(call.ctx, server_id, SET, lambda _: given)
        return Reply(MetadataBody(metadata=kept))

    async def put(self, call: Call, server_id: str, key: str) -> Reply:
        given = (await call.decode(ItemIn)).meta
        if key not in given:
            raise UriMismatch
        await self.items.edit(call.ctx, server_id, SET, lambda items: items | given)
        return Reply(ItemBody(meta=given))

    async def delete(self, call: Call, server_id: str, key: str) -> Reply:
        def without(items: dict[str, str]) -> dict[str, str]:
            if key not in items:
                raise MetadataNotFound
            return {name: value for name, value in items.items() if name != key}

        await self.items.edit(call.ctx, server_id, DELETE, without)
        return Reply()


def routes(deps: Deps) -> list[Route]:
    database, clock, options = deps.database, deps.clock, deps.options
    metadata = ServerMetadata(ServerLogic(database, clock, options), MetadataLogic(database, clock, options))
    every, one, whole = SERVER + "/metadata", SERVER + "/metadata/{key:str}", MetadataBody
    return below_server(
        deps,
        Route("GET", every, metadata.list, f"{RULE}:index", reply=whole, summary="List a server's metadata."),
        Route(
            "POST", every, metadata.add, f"{RULE}:create", body=MetadataIn, reply=whole,
            summary="Add to a server's metadata, or replace some.",
        ),
        Route(
            "PUT", every, metadata.replace, f"{RULE}:update_all", body=MetadataIn, reply=whole,
            summary="Replace a server's metadata.",
        ),
        Route("GET", one, metadata.show, f"{RULE}:show", reply=ItemBody, summary="Show an item of a server's metadata."),
        Route(
            "PUT", one, metadata.put, f"{RULE}:update", body=ItemIn, reply=ItemBody,
            summary="Set an item of a server's metadata.",
        ),
        Route("DELETE", one, metadata.delete, f"{RULE}:delete", 204, summary="Delete an item of a server's metadata."),
    )  # fmt: skip


SERVER_METADATA = Resource(routes, RULES)
