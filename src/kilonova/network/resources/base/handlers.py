"""List, show, create, update and delete over HTTP, the same for every resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET

from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.resources.base.access import guard, hidden, scope, seeing
from kilonova.network.resources.base.bodies import read_many, read_one
from kilonova.network.resources.base.facts import Guard
from kilonova.network.resources.base.filters import links, read_filters
from kilonova.network.resources.base.grants import acting, narrow
from kilonova.network.resources.base.shape import Link, Shape

L = TypeVar("L", bound=Any)


class Replies(Generic[L]):
    """What a caller is shown of one resource's objects."""

    def __init__(self, shape: Shape, logic: L) -> None:
        self.shape, self.logic = shape, logic

    def guard(self, call: Call, action: str, body: msgspec.Struct | None = None, *, see: str = "") -> Guard:
        return guard(call, action, self.shape, body, see=see)

    def one(self, call: Call, item: msgspec.Struct, fields: frozenset[str] = frozenset()) -> Reply:
        """An object as this caller may see it; with `fields` these attributes alone."""
        kind = self.shape.one_part if fields else self.shape.one
        return Reply(kind(inner=self._shown(call, [item], fields)[0]))

    def many(
        self, call: Call, items: Sequence[msgspec.Struct], beside: Sequence[Link] = (),
        fields: frozenset[str] = frozenset(),
    ) -> Reply:  # fmt: skip
        kind = self.shape.many_parts if fields else self.shape.many
        return Reply(kind(inner=self._shown(call, items, fields), links=beside or UNSET))

    def _shown(self, call: Call, items: Sequence[msgspec.Struct], fields: frozenset[str]) -> Sequence[msgspec.Struct]:
        secret = hidden(call, self.shape)
        if fields:
            wanted = [name for wire, name in self.shape.fields.items() if wire in fields and wire not in secret]
            return [self.shape.part(**{name: getattr(item, name) for name in wanted}) for item in items]
        for item in items:
            for name in secret.values():
                setattr(item, name, UNSET)
        return items


class Handlers(Replies[L]):
    """Of one resource. `logic` lists and shows (ReadLogic) and, where the resource has the shapes for it, creates, updates and
    deletes with the same arguments as Logic. A resource that does more, or something in its own way, has a subclass."""

    async def list(self, call: Call) -> Reply:
        filters, possible = read_filters(call, self.shape)
        if "shared" in filters.filters:  # with the caller's project
            filters.filters["shared_to"] = [call.ctx.project_id]
        project = scope(call)
        if call.ctx.is_host:
            possible, project = narrow(self.shape.hosts, call.ctx.grant, filters) and possible, None
        possible = possible and (self.logic.owned or call.allowed(f"get_{self.shape.rule_noun}"))
        items = await self.logic.list(filters, project) if possible else []
        return self.many(call, items, links(call, self.shape.path, items, filters), filters.fields)

    async def show(self, call: Call, id: str) -> Reply:
        item = await self.logic.get(id, self.guard(call, "get"))
        return self.one(call, item, frozenset(call.query.getall("fields", [])))

    async def create(self, call: Call) -> Reply:
        bodies, bulk = await read_many(call, self.shape, self.logic.deps.options.max_bulk)
        guards = [self.guard(call, "create", body, see=self.shape.see_new) async for body in yielding(bodies)]
        items = await self.logic.create(acting(call.ctx), bodies, guards)
        return self.many(call, items) if bulk else self.one(call, items[0])

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, self.shape)
        return self.one(call, await self.logic.update(call.ctx, id, body, self.guard(call, "update", body)))

    async def delete(self, call: Call, id: str) -> Reply:
        await self.logic.delete(call.ctx, id, self.guard(call, "delete"))
        return Reply()


class SeeingCreateHandlers(Handlers[L]):
    """Of a resource whose new objects name others: `create` of its logic also takes what the caller may see of these."""

    async def create(self, call: Call) -> Reply:
        bodies, bulk = await read_many(call, self.shape, self.logic.deps.options.max_bulk)
        guards = [self.guard(call, "create", body, see=self.shape.see_new) async for body in yielding(bodies)]
        items = await self.logic.create(call.ctx, bodies, guards, seeing(call))
        return self.many(call, items) if bulk else self.one(call, items[0])


class SeeingHandlers(SeeingCreateHandlers[L]):
    """The same, of one whose updates name others too."""

    async def update(self, call: Call, id: str) -> Reply:
        body = await read_one(call, self.shape)
        item = await self.logic.update(call.ctx, id, body, self.guard(call, "update", body), seeing(call))
        return self.one(call, item)
