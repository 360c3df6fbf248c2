"""Rules of volume types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, retried
from kilonova.core.db.failures import DuplicateRow, is_twin
from kilonova.volume import errors
from kilonova.volume.list_query import ListQuery
from kilonova.volume.resources.base import Deps
from kilonova.volume.store import items, types
from kilonova.volume.store.types import TYPES, TypeRow


class Known(msgspec.Struct, kw_only=True):
    row: TypeRow
    extra_specs: dict[str, str]


class TypeLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps, self.clock = deps, deps.clock
        self.database: Database = deps.database

    @retried
    async def seed(self) -> None:
        """The type of volumes whose request names none."""
        name = self.deps.options.default_volume_type
        async with self.database.transaction() as tx:
            if await types.named(tx.connection, name) is None:
                await TYPES.add(
                    tx.connection, id=self.clock.uuid(), name=name, description="Default Volume Type", is_public=True,
                    created_at=self.clock.row_time(),
                )  # fmt: skip

    async def find(self, connection: Connection, ctx: RequestContext, type_id: str) -> TypeRow:
        """By id alone; a type that the project may not use is not there."""
        if type_id == "default":
            type_id = self.deps.options.default_volume_type
        found = await types.named(connection, type_id, seen_by=None if ctx.is_admin else ctx.project_id or "")
        if found is None:
            raise errors.TypeNotFound(type_id=type_id)
        return found

    async def show(self, ctx: RequestContext, type_id: str) -> Known:
        async with self.database.reading() as connection:
            row = await self.find(connection, ctx, type_id)
            return (await self._known(connection, [row]))[0]

    async def _known(self, connection: Connection, rows: Sequence[TypeRow]) -> list[Known]:
        specs = await items.of(connection, items.EXTRA_SPECS, [row.id for row in rows])
        return [Known(row=row, extra_specs=specs[row.id]) for row in rows]

    async def page(self, ctx: RequestContext, query: ListQuery) -> list[Known]:
        async with self.database.reading() as connection:
            rows = await types.page(connection, query, seen_by=None if ctx.is_admin else ctx.project_id or "")
            if rows is None:
                raise errors.TypeNotFound(type_id=query.marker)
            return await self._known(connection, rows)

    @retried
    async def create(self, values: dict[str, Any], specs: dict[str, str]) -> str:
        type_id = self.clock.uuid()
        async with self.database.transaction() as tx:
            if await TYPES.find(tx.connection, name=values["name"]):
                raise errors.TypeExists(name=values["name"])
            await TYPES.add(tx.connection, id=type_id, created_at=self.clock.row_time(), **values)
            await items.put(tx.connection, items.EXTRA_SPECS, type_id, specs)
        return type_id

    @retried
    async def update(self, row: TypeRow, values: dict[str, Any]) -> None:
        async with self.database.transaction() as tx:
            name = values.get("name", row.name)
            if name != row.name and await TYPES.find(tx.connection, name=name):
                raise errors.TypeExists(name=name)
            if not await TYPES.change(tx.connection, row.id, values | {"updated_at": self.clock.row_time()}):
                raise errors.TypeNotFound(type_id=row.id)

    @retried
    async def delete(self, row: TypeRow) -> None:
        if row.name == self.deps.options.default_volume_type:
            raise errors.DefaultTypeStays(type_id=row.id)
        async with self.database.transaction() as tx:
            if await types.in_use(tx.connection, row.id):
                raise errors.TypeInUse
            await types.remove(tx.connection, row.id)

    @retried
    async def set_specs(self, row: TypeRow, specs: dict[str, str]) -> None:
        async with self.database.transaction() as tx:
            await items.put(tx.connection, items.EXTRA_SPECS, row.id, specs)

    @retried
    async def remove_spec(self, row: TypeRow, name: str) -> None:
        async with self.database.transaction() as tx:
            if not await items.remove(tx.connection, items.EXTRA_SPECS, row.id, name):
                raise errors.ExtraSpecNotFound(type_id=row.id, name=name)

    async def access(self, row: TypeRow) -> list[str]:
        if row.is_public:
            raise errors.TypeAccessOfPublic(type_id=row.id)
        async with self.database.reading() as connection:
            return await types.access(connection, row.id)

    async def give(self, row: TypeRow, project_id: str) -> None:
        if row.is_public:
            raise errors.PublicTypeHasNoAccess
        try:
            async with self.database.transaction() as tx:
                await types.give(tx.connection, row.id, project_id)
        except DuplicateRow as error:
            if is_twin(error):
                raise errors.TypeAccessExists(type_id=row.id, project_id=project_id) from None
            raise errors.TypeNotFound(type_id=row.id) from None

    @retried
    async def take(self, row: TypeRow, project_id: str) -> None:
        if row.is_public:
            raise errors.PublicTypeHasNoAccess
        async with self.database.transaction() as tx:
            if not await types.take(tx.connection, row.id, project_id):
                raise errors.TypeAccessNotFound(type_id=row.id, project_id=project_id)
