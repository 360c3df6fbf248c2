"""The rules that all resources have: what is listed and shown, and for those that are one row each, how they are made, changed
and deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

import msgspec

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.errors import KilonovaError
from kilonova.core.yielding import yielding
from kilonova.network.deps import Deps
from kilonova.network.projects import make_room
from kilonova.network.resources.base.columns import changes_of, owner
from kilonova.network.resources.base.facts import Facts, Guard, facts, owned_by
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.store.objects import ObjectRow, Objects, OwnedRow
from kilonova.network.store.tags import Condition

R = TypeVar("R", bound=ObjectRow)
V = TypeVar("V", bound=msgspec.Struct)
Conditions = list[Condition]


class ReadLogic(Generic[R, V]):
    """What is listed and shown. A subclass says which objects these are, the error for one that is not there, and what is shown
    of them. `owned` ones belong to projects; of others a list shows all, to callers that policy lets list them."""

    objects: ClassVar[Objects[Any]]
    missing: ClassVar[type[KilonovaError]]
    owned: ClassVar[bool] = True

    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def views(self, connection: Connection, rows: Sequence[R]) -> Sequence[V]:
        """A fixed number of statements, however many rows."""
        raise NotImplementedError

    def seen_by(self, project_id: str) -> Condition:
        """Which objects a project sees."""
        return self.objects.owned_by(project_id)

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> Conditions:
        """What a client's filters ask for."""
        return self.objects.conditions(filters)

    def facts(self, row: R) -> Facts:
        """What policy may know of it."""
        return facts(cast(OwnedRow, row)) if self.owned else {}

    async def list(self, filters: Filters, project_id: str | None) -> Sequence[V]:
        """Objects that a project sees; all of them for None."""
        where = self.conditions(filters.filters)
        if project_id is not None and self.owned:
            where.append(self.seen_by(project_id))
        async with self.deps.database.reading() as connection:
            rows = await self.objects.page(connection, where, filters)
            if rows is None:
                raise self.missing(id=filters.marker)
            return await self.views(connection, rows)

    async def get(self, object_id: str, guard: Guard) -> V:
        async with self.deps.database.reading() as connection:
            return (await self.views(connection, [await self.guarded(connection, object_id, guard)]))[0]

    async def guarded(self, connection: Connection, object_id: str, guard: Guard, *, lock: bool = False) -> R:
        """The row, for callers that may act on it; with `lock`, as it stays until the transaction ends."""
        missing = self.missing(id=object_id)
        row: R | None = await self.objects.get(connection, object_id, lock=lock)
        if row is None:
            raise missing
        guard(self.facts(row), missing)
        return row


class DeletingLogic(ReadLogic[R, V]):
    """Objects that are one row each are also deleted here."""

    async def removing(self, tx: Transaction, ctx: RequestContext, row: R) -> None:
        """What else goes with an object. Raises what keeps it."""

    @retried
    async def delete(self, ctx: RequestContext, object_id: str, guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, object_id, guard, lock=True)
            await self.removing(tx, ctx, row)
            await self.objects.remove(tx.connection, [object_id])


class ChangingLogic(DeletingLogic[R, V]):
    """And changed. A subclass says what else happens then."""

    async def changes(self, tx: Transaction, row: R, body: Any) -> dict[str, Any]:
        """The new values of columns. Raises what speaks against them."""
        return changes_of(body)

    async def changed(self, tx: Transaction, ctx: RequestContext, row: R, changes: Mapping[str, Any]) -> None:
        """What else a change brings about; `row` is as it was."""

    @retried
    async def update(self, ctx: RequestContext, object_id: str, body: Any, guard: Guard) -> V:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, object_id, guard, lock=True)
            changes = await self.changes(tx, row, body)
            await self.objects.change(tx.connection, object_id, changes, self.deps.now())
            await self.changed(tx, ctx, row, changes)
            now = await self.objects.get(tx.connection, object_id)
            return (await self.views(tx.connection, [now or row]))[0]


class Logic(ChangingLogic[R, V]):
    """And made. A subclass says the columns of a new one. Objects that are more than a row, or name others, have methods of
    their own."""

    def new(self, ctx: RequestContext, body: Any) -> dict[str, Any]:
        """The columns of a new object."""
        raise NotImplementedError

    async def needs(self, connection: Connection) -> Mapping[Objects[Any], int]:
        """How many rows of what else quotas count one new object takes."""
        return {}

    async def adding(self, tx: Transaction, ctx: RequestContext, rows: Sequence[dict[str, Any]]) -> None:
        """Columns that need a look at other objects. Raises what speaks against new rows."""

    async def add(self, tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        """Write new rows."""
        await self.objects.add(tx.connection, rows)

    async def new_views(self, connection: Connection, rows: Sequence[R]) -> Sequence[V]:
        return await self.views(connection, rows)

    @retried
    async def create(self, ctx: RequestContext, bodies: Sequence[Any], guards: Sequence[Guard]) -> Sequence[V]:
        """All or none; `guards` holds one for each body."""
        async for body, guard in yielding(zip(bodies, guards, strict=True)):
            guard(owned_by(owner(ctx, body)) if self.owned else {}, None)
        rows = [self.new(ctx, body) async for body in yielding(bodies)]
        async with self.deps.database.transaction() as tx:
            if self.owned:
                needs = {self.objects: 1, **await self.needs(tx.connection)}
                await make_room(self.deps, tx, [row["project_id"] for row in rows], needs)
            await self.adding(tx, ctx, rows)
            await self.add(tx, rows)
            made = await self.objects.by_ids(tx.connection, [row["id"] for row in rows])
            return await self.new_views(tx.connection, [made[row["id"]] for row in rows])
