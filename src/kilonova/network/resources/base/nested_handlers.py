"""List, show, create, update and delete over HTTP of objects below others."""

from __future__ import annotations

from typing import Any, TypeVar

from kilonova.core.web.call import Call, Reply
from kilonova.core.yielding import yielding
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.bodies import read_many, read_one
from kilonova.network.resources.base.filters import links, read_filters
from kilonova.network.resources.base.handlers import Replies
from kilonova.network.resources.base.nested_logic import NestedLogic
from kilonova.network.resources.base.shape import Shape

L = TypeVar("L", bound=NestedLogic[Any, Any, Any])


class NestedHandlers(Replies[L]):
    """Of one resource whose shape has a `parent`."""

    async def list(self, call: Call, parent_id: str) -> Reply:
        filters, possible = read_filters(call, self.shape)
        items = await self.logic.list(parent_id, filters, self.guard(call, "get")) if possible else []
        return self.many(call, items, links(call, _path(self.shape, parent_id), items, filters), filters.fields)

    async def show(self, call: Call, parent_id: str, id: str) -> Reply:
        item = await self.logic.get(parent_id, id, self.guard(call, "get"))
        return self.one(call, item, frozenset(call.query.getall("fields", [])))

    async def create(self, call: Call, parent_id: str) -> Reply:
        bodies, bulk = await read_many(call, self.shape, self.logic.deps.options.max_bulk)
        guards = [self.guard(call, "create", body) async for body in yielding(bodies)]
        items = await self.logic.create(call.ctx, parent_id, bodies, guards, seeing(call))
        return self.many(call, items) if bulk else self.one(call, items[0])

    async def update(self, call: Call, parent_id: str, id: str) -> Reply:
        body = await read_one(call, self.shape)
        allowed = self.guard(call, "update", body)
        return self.one(call, await self.logic.update(call.ctx, parent_id, id, body, allowed, seeing(call)))

    async def delete(self, call: Call, parent_id: str, id: str) -> Reply:
        await self.logic.delete(call.ctx, parent_id, id, self.guard(call, "delete"))
        return Reply()


def _path(shape: Shape, parent_id: str) -> str:
    return f"{shape.parent.path}/{parent_id}/{shape.path}" if shape.parent is not None else shape.path
