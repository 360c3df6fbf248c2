"""The volume type of a project's volumes whose request names none (3.62)."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried
from kilonova.core.errors import BadRequest
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Body, View
from kilonova.volume import errors
from kilonova.volume.fields import TypeName
from kilonova.volume.resources.base import OPERATOR, Deps, Resource, V
from kilonova.volume.resources.types.logic import TypeLogic
from kilonova.volume.store import default_types as store
from kilonova.volume.store.default_types import DefaultRow

D = "volume_extension:default"
RULES = {f"{D}_{verb}": OPERATOR for verb in ("set_or_update", "get", "get_all", "unset")}


class DefaultChange(Body, kw_only=True):
    volume_type: TypeName


class DefaultUpdate(Body, kw_only=True):
    default_type: DefaultChange


class DefaultView(View, kw_only=True):
    project_id: str
    volume_type_id: str


class DefaultBody(View, kw_only=True):
    default_type: DefaultView


class Defaults(View, kw_only=True):
    default_types: list[DefaultView]


class DefaultLogic:
    def __init__(self, deps: Deps) -> None:
        self.database: Database = deps.database
        self.types = TypeLogic(deps)

    async def find(self, project_id: str | None = None) -> Sequence[DefaultRow]:
        async with self.database.reading() as connection:
            return await store.find(connection, project_id)

    @retried
    async def put(self, ctx: RequestContext, project_id: str, name: str) -> None:
        async with self.database.transaction() as tx:
            try:
                kind = await self.types.find(tx.connection, ctx, name)
            except errors.TypeNotFound as error:
                raise BadRequest(error.message) from None
            await store.put(tx.connection, project_id, kind.id)

    @retried
    async def remove(self, project_id: str) -> None:
        async with self.database.transaction() as tx:
            await store.remove(tx.connection, project_id)


class DefaultHandlers:
    def __init__(self, logic: DefaultLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        return Reply(Defaults(default_types=[_view(row) for row in await self.logic.find()]))

    async def show(self, call: Call, project_id: str) -> Reply:
        found = await self.logic.find(project_id)
        if not found:
            raise errors.DefaultTypeNotFound(project_id=project_id)
        return Reply(DefaultBody(default_type=_view(found[0])))

    async def put(self, call: Call, project_id: str) -> Reply:
        if len(project_id) > 64:
            raise BadRequest("The project's id has more than 64 characters.")
        asked = await call.decode(DefaultUpdate)
        await self.logic.put(call.ctx, project_id, asked.default_type.volume_type)
        return await self.show(call, project_id)

    async def remove(self, call: Call, project_id: str) -> Reply:
        await self.logic.remove(project_id)
        return Reply()


def _view(row: DefaultRow) -> DefaultView:
    return DefaultView(project_id=row.project_id, volume_type_id=row.type_id)


def routes(deps: Deps) -> list[Route]:
    at, since = DefaultHandlers(DefaultLogic(deps)), "3.62"
    every, one = f"{V}/default-types", f"{V}/default-types/{{project_id:str}}"
    body = DefaultBody
    return [
        Route("GET", every, at.list, f"{D}_get_all", since=since, reply=Defaults, summary="List projects' default types."),
        Route("GET", one, at.show, f"{D}_get", since=since, reply=body, summary="Show a project's default type."),
        Route(
            "PUT", one, at.put, f"{D}_set_or_update", since=since, body=DefaultUpdate, reply=body,
            summary="Give a project a default type.",
        ),
        Route("DELETE", one, at.remove, f"{D}_unset", 204, since=since, summary="Take a project's default type away."),
    ]  # fmt: skip


DEFAULT_TYPES = Resource(routes, RULES)
