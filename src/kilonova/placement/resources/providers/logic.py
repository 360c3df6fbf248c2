"""Rules of resource providers and inventories. Generations replace locks: a write with an old one is refused."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import Any

import os_resource_classes

from kilonova.core.clock import Clock
from kilonova.core.db import Connection, Database, retried
from kilonova.placement import errors
from kilonova.placement.resources.providers.schemas import ClassUsage, InventoryIn, ProviderSummaries, ProviderSummary
from kilonova.placement.store import providers as store
from kilonova.placement.store.providers import InventoryRow, ProviderRow

CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}")
MAX_CAPACITY = (1 << 31) - 1


def check_class(name: str) -> None:
    """Raises InvalidResourceClass unless it is a standard class or a CUSTOM_ one."""
    if name not in os_resource_classes.STANDARDS and not CUSTOM.fullmatch(name):
        raise errors.InvalidResourceClass(name=name)


def _above(uuid: str, parents: Mapping[str, str]) -> list[str]:
    """The parent, its parent and so on."""
    found: list[str] = []
    while uuid in parents and parents[uuid] not in found:
        uuid = parents[uuid]
        found.append(uuid)
    return found


def _root(uuid: str, parents: Mapping[str, str]) -> str:
    return (_above(uuid, parents) or [uuid])[-1]


class ProviderLogic:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock

    async def list(
        self, *, uuid: str | None = None, name: str | None = None, in_tree: str | None = None,
        resources: Mapping[str, int] | None = None,
    ) -> Sequence[ProviderRow]:  # fmt: skip
        """Those that fit all: `in_tree` any provider of their tree, `resources` (class → units) what each has room for."""
        async with self.database.reading() as connection:
            rows = await store.matching(connection, uuid=uuid, name=name, resources=resources or {})
            if in_tree is None or not rows:
                return rows
            parents = await store.parents(connection)
        root = _root(in_tree, parents)
        return [row for row in rows if _root(row.uuid, parents) == root]

    async def roots(self, rows: Sequence[ProviderRow]) -> dict[str, str]:
        """uuid → that of the tree's root, of those that have a parent."""
        children = [row.uuid for row in rows if row.parent_uuid is not None]
        if not children:
            return {}
        async with self.database.reading() as connection:
            parents = await store.parents(connection)
        return {uuid: _root(uuid, parents) for uuid in children}

    async def get(self, uuid: str) -> ProviderRow:
        async with self.database.reading() as connection:
            return await self._get(connection, uuid)

    async def _get(self, connection: Connection, uuid: str, *, lock: bool = False) -> ProviderRow:
        found = await store.find(connection, uuid=uuid, lock=lock)
        if not found:
            raise errors.ProviderNotFound(uuid=uuid)
        return found[0]

    @retried
    async def create(self, *, uuid: str | None, name: str, parent: str | None) -> ProviderRow:
        uuid = uuid or self.clock.uuid()
        async with self.database.transaction() as tx:
            if await store.find(tx.connection, uuid=uuid):
                raise errors.ProviderExists(field="uuid", value=uuid)
            if await store.find(tx.connection, name=name):
                raise errors.ProviderExists(field="name", value=name)
            if parent is not None and not await store.find(tx.connection, uuid=parent):
                raise errors.InvalidTree(verb="create", action="create", uuid=uuid, reason=errors.NO_PARENT)
            await store.add(tx.connection, uuid=uuid, name=name, parent_uuid=parent)
            return await self._get(tx.connection, uuid)

    @retried
    async def update(self, uuid: str, values: dict[str, Any], *, movable: bool) -> ProviderRow:
        """`movable`: one that has a parent may get another one, or none."""
        async with self.database.transaction() as tx:
            provider = await self._get(tx.connection, uuid, lock=True)
            if values.get("parent_uuid", provider.parent_uuid) != provider.parent_uuid:
                await self._check_parent(tx.connection, provider, values["parent_uuid"], movable=movable)
            others = await store.find(tx.connection, name=values["name"])
            if any(other.uuid != uuid for other in others):
                raise errors.ProviderExists(field="name", value=values["name"])
            await store.rename(tx.connection, uuid, values)
            return await self._get(tx.connection, uuid)

    async def _check_parent(
        self, connection: Connection, provider: ProviderRow, parent: str | None, *, movable: bool
    ) -> None:
        reason = None
        if provider.parent_uuid is not None and not movable:
            verb = "un-parenting" if parent is None else "re-parenting"
            reason = f"{verb} a provider is not currently allowed."
        elif parent is not None:
            if not await store.find(connection, uuid=parent):
                reason = errors.NO_PARENT
            elif provider.uuid in (parent, *_above(parent, await store.parents(connection))):
                reason = "creating loop in the provider tree is not allowed."
        if reason is not None:
            raise errors.InvalidTree(verb="save", action="update", uuid=provider.uuid, reason=reason)

    @retried
    async def delete(self, uuid: str) -> None:
        async with self.database.transaction() as tx:
            provider = await self._get(tx.connection, uuid, lock=True)
            if await store.has_children(tx.connection, uuid):
                raise errors.ProviderIsParent(uuid=uuid)
            if await store.has_allocations(tx.connection, provider.id):
                raise errors.ProviderInUse(uuid=uuid)
            await store.remove(tx.connection, provider.id)

    async def inventories(self, uuid: str) -> tuple[int, Sequence[InventoryRow]]:
        """(generation, inventory rows)."""
        async with self.database.reading() as connection:
            provider = await self._get(connection, uuid)
            return provider.generation, await store.inventories_of(connection, provider.id)

    @retried
    async def set_inventories(self, uuid: str, generation: int, wanted: dict[str, InventoryIn]) -> int:
        """Replace all inventories; the new generation. A class in use can't be dropped."""
        async with self.database.transaction() as tx:
            provider = await self._get(tx.connection, uuid, lock=True)
            if not await store.bump(tx.connection, provider.id, generation):
                raise errors.GenerationConflict
            held = {row.resource_class: row for row in await store.inventories_of(tx.connection, provider.id)}
            gone = [name for name in held if name not in wanted]
            for name in gone:
                if held[name].used > 0:
                    raise errors.InventoryInUse(resource_class=name, uuid=uuid)
            for name, item in wanted.items():
                check_class(name)
                await store.put_inventory(tx.connection, provider.id, name, self._values(uuid, name, item))
            if gone:
                await store.drop_inventories(tx.connection, provider.id, gone)
            return generation + 1

    def _values(self, uuid: str, name: str, item: InventoryIn) -> dict[str, Any]:
        if item.reserved > item.total:
            raise errors.InvalidInventory(resource_class=name, uuid=uuid)
        return {
            "total": item.total,
            "reserved": item.reserved,
            "min_unit": item.min_unit,
            "max_unit": item.max_unit,
            "step_size": item.step_size,
            "allocation_ratio": item.allocation_ratio,
            "capacity": int(min((item.total - item.reserved) * item.allocation_ratio, MAX_CAPACITY)),
            "changed_at": self.clock.row_time(),
        }

    async def summaries(self, changed_within: float | None = None) -> ProviderSummaries:
        """Capacity and usage of every provider, or of those that changed within so many seconds, in one statement."""
        found: dict[str, ProviderSummary] = {}
        since = self.clock.row_time() - dt.timedelta(seconds=changed_within) if changed_within is not None else None
        async with self.database.reading() as connection:
            rows = await store.summaries(connection, since)
        for row in rows:
            summary = found.setdefault(row.uuid, ProviderSummary(uuid=row.uuid, name=row.name, resources={}))
            if row.resource_class is not None:
                summary.resources[row.resource_class] = ClassUsage(capacity=row.capacity or 0, used=row.used or 0)
        return ProviderSummaries(provider_summaries=list(found.values()))
