"""Messages to users: why something failed."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import View
from kilonova.volume import errors
from kilonova.volume.fields import Link
from kilonova.volume.list_query import ListQuery
from kilonova.volume.resources.base import MEMBER, READER, Deps, Resource, V, links, owned, scope_of
from kilonova.volume.resources.listing import Listing, next_page
from kilonova.volume.store.messages import MESSAGES, MessageRow
from kilonova.volume.times import shown

RULES = {"message:get_all": READER, "message:get": READER, "message:delete": MEMBER}
SINCE = "3.3"
NAMES = ("id", "event_id", "message_level", "resource_type", "resource_uuid", "request_id")
LIST = Listing(filters={n: n for n in NAMES}, sort={n: n for n in (*NAMES, "created_at", "guaranteed_until")}, like=())


class MessageView(View, kw_only=True):
    """`event_id` is for programs: VOLUME_VOLUME_001_003."""

    id: str
    event_id: str
    user_message: str
    message_level: str
    resource_type: str
    resource_uuid: str | None
    request_id: str
    created_at: str | None
    guaranteed_until: str | None
    links: list[Link]


class MessageBody(View, kw_only=True):
    message: MessageView


class Messages(View, kw_only=True):
    messages: list[MessageView]
    messages_links: list[Link] | UnsetType = UNSET


class MessageLogic:
    def __init__(self, deps: Deps) -> None:
        self.database: Database = deps.database
        self.maximum = deps.options.limit_max

    async def list(self, ctx: RequestContext, query: ListQuery) -> Sequence[MessageRow]:
        query.equal["project_id"] = ctx.project_id
        async with self.database.reading() as connection:
            rows = await MESSAGES.page(connection, query)
        if rows is None:
            raise errors.MessageNotFound(message_id=query.marker)
        return rows

    async def get(self, ctx: RequestContext, message_id: str) -> MessageRow:
        async with self.database.reading() as connection:
            row = await MESSAGES.get(connection, message_id)
        if row is None or scope_of(ctx) not in (None, row.project_id):
            raise errors.MessageNotFound(message_id=message_id)
        return row

    @retried
    async def delete(self, row: MessageRow) -> None:
        async with self.database.transaction() as tx:
            await MESSAGES.remove(tx.connection, row.id)


class MessageHandlers:
    def __init__(self, logic: MessageLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        query = LIST.read(call, maximum=self.logic.maximum)
        view = Messages(messages=[_view(call, row) for row in await self.logic.list(call.ctx, query)])
        view.messages_links = next_page(call, query, "/messages", view.messages) or UNSET
        return Reply(view)

    async def show(self, call: Call, message_id: str) -> Reply:
        row = await self.logic.get(call.ctx, message_id)
        call.authorize(owned(row))
        return Reply(MessageBody(message=_view(call, row)))

    async def delete(self, call: Call, message_id: str) -> Reply:
        row = await self.logic.get(call.ctx, message_id)
        call.authorize(owned(row))
        await self.logic.delete(row)
        return Reply()


def _view(call: Call, row: MessageRow) -> MessageView:
    return MessageView(
        id=row.id, event_id=row.event_id, user_message=row.user_message, message_level=row.message_level,
        resource_type=row.resource_type, resource_uuid=row.resource_uuid, request_id=row.request_id,
        created_at=shown(row.created_at), guaranteed_until=shown(row.guaranteed_until), links=links(call, "messages", row.id),
    )  # fmt: skip


def routes(deps: Deps) -> list[Route]:
    at = MessageHandlers(MessageLogic(deps))
    every, one = f"{V}/messages", f"{V}/messages/{{message_id:str}}"
    return [
        Route("GET", every, at.list, "message:get_all", since=SINCE, reply=Messages, summary="List why things failed."),
        Route("GET", one, at.show, "message:get", since=SINCE, reply=MessageBody, summary="Show a message."),
        Route("DELETE", one, at.delete, "message:delete", 204, since=SINCE, summary="Delete a message."),
    ]


MESSAGES_RESOURCE = Resource(routes, RULES)
