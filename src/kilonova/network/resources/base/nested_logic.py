"""Rules of objects below others: each belongs to its parent, whose project and visibility are its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.errors import KilonovaError
from kilonova.core.yielding import yielding
from kilonova.network.deps import Deps
from kilonova.network.resources.base.facts import Guard, Seeing, facts
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.store.objects import ObjectRow, Objects, StandardRow

P = TypeVar("P", bound=StandardRow)
R = TypeVar("R", bound=ObjectRow)
V = TypeVar("V", bound=msgspec.Struct)


class NestedLogic(Generic[P, R, V]):
    """A subclass says which objects these are, and which their parents, the column with the parent's id, and the errors for what
    is not there; then the columns of a new one, and what else a change brings about. Guards are asked about the parent.

    A change locks the parent, so that two changes below it are one after the other, and gives it the next revision."""

    objects: ClassVar[Objects[Any]]
    missing: ClassVar[type[KilonovaError]]
    parents: ClassVar[Objects[Any]]
    parent_missing: ClassVar[type[KilonovaError]]
    parent_column: ClassVar[str]

    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    def absent(self, parent_id: str, object_id: str | None) -> KilonovaError:
        """The error for an object that is not below this parent."""
        return self.missing(id=object_id)

    async def views(self, connection: Connection, rows: Sequence[R]) -> Sequence[V]:
        """A fixed number of statements, however many rows."""
        raise NotImplementedError

    async def new(self, tx: Transaction, parent: P, body: Any, seeing: Seeing) -> dict[str, Any]:
        """The columns of a new object. Raises what speaks against it."""
        raise NotImplementedError

    async def changes(self, tx: Transaction, parent: P, row: R, body: Any, seeing: Seeing) -> dict[str, Any]:
        """The new values of columns. Raises what speaks against them."""
        raise NotImplementedError

    async def changed(self, tx: Transaction, ctx: RequestContext, parent: P) -> None:
        """What else it brings about that objects below the parent came, changed or went; `parent` is as it was."""

    async def list(self, parent_id: str, filters: Filters, guard: Guard) -> Sequence[V]:
        async with self.deps.database.reading() as connection:
            await self._parent(connection, parent_id, guard)
            below = self.objects.column(self.parent_column) == parent_id
            rows = await self.objects.page(connection, [*self.objects.conditions(filters.filters), below], filters)
            if rows is None:
                raise self.absent(parent_id, filters.marker)
            return await self.views(connection, rows)

    async def get(self, parent_id: str, object_id: str, guard: Guard) -> V:
        async with self.deps.database.reading() as connection:
            await self._parent(connection, parent_id, guard)
            return (await self.views(connection, [await self._row(connection, parent_id, object_id)]))[0]

    @retried
    async def create(
        self, ctx: RequestContext, parent_id: str, bodies: Sequence[Any], guards: Sequence[Guard], seeing: Seeing
    ) -> Sequence[V]:
        """All or none; `guards` holds one for each body."""
        async with self.deps.database.transaction() as tx:
            parent = await self._parent(tx.connection, parent_id, *guards, lock=True)
            ids = []
            async for body in yielding(bodies):
                row = await self.new(tx, parent, body, seeing)
                await self.objects.add(tx.connection, [row])
                ids.append(row["id"])
            await self._done(tx, ctx, parent)
            made = await self.objects.by_ids(tx.connection, ids)
            return await self.views(tx.connection, [made[one] for one in ids])

    @retried
    async def update(
        self, ctx: RequestContext, parent_id: str, object_id: str, body: Any, guard: Guard, seeing: Seeing
    ) -> V:
        async with self.deps.database.transaction() as tx:
            parent = await self._parent(tx.connection, parent_id, guard, lock=True)
            row = await self._row(tx.connection, parent_id, object_id)
            changes = await self.changes(tx, parent, row, body, seeing)
            await self.objects.change(tx.connection, object_id, changes, self.deps.now())
            await self._done(tx, ctx, parent)
            now = await self._row(tx.connection, parent_id, object_id)
            return (await self.views(tx.connection, [now]))[0]

    @retried
    async def delete(self, ctx: RequestContext, parent_id: str, object_id: str, guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            parent = await self._parent(tx.connection, parent_id, guard, lock=True)
            await self._row(tx.connection, parent_id, object_id)
            await self.objects.remove(tx.connection, [object_id])
            await self._done(tx, ctx, parent)

    async def _done(self, tx: Transaction, ctx: RequestContext, parent: P) -> None:
        await self.parents.change(tx.connection, parent.id, {}, self.deps.now())
        await self.changed(tx, ctx, parent)

    async def _parent(self, connection: Connection, parent_id: str, *guards: Guard, lock: bool = False) -> P:
        missing = self.parent_missing(id=parent_id)
        row: P | None = await self.parents.get(connection, parent_id, lock=lock)
        if row is None:
            raise missing
        for guard in guards:
            guard(facts(row), missing)
        return row

    async def _row(self, connection: Connection, parent_id: str, object_id: str) -> R:
        row: R | None = await self.objects.get(connection, object_id)
        if row is None or getattr(row, self.parent_column) != parent_id:
            raise self.absent(parent_id, object_id)
        return row
