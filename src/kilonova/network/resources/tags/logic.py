"""Tags of networks, subnets, ports and security groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from kilonova.core.db import retried
from kilonova.network import errors
from kilonova.network.resources.base.logic import Deps, Guard
from kilonova.network.store import resources

MAX_TAGS = 50


class Tagged(Protocol):
    """Logic whose objects have tags."""

    async def get(self, resource_id: str, guard: Guard, /) -> Any: ...


class TagLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def of(self, owner: Tagged, resource_id: str, guard: Guard) -> list[str]:
        return list((await owner.get(resource_id, guard)).tags)

    @retried
    async def replace(self, owner: Tagged, resource_id: str, tags: Sequence[str], guard: Guard) -> list[str]:
        await owner.get(resource_id, guard)
        async with self.deps.database.transaction() as tx:
            await resources.remove_tags(tx.connection, resource_id, None)
            if tags:
                await resources.add_tags(tx.connection, [(resource_id, tag) for tag in tags])
        return sorted(set(tags))

    @retried
    async def add(self, owner: Tagged, resource_id: str, tags: Sequence[str], guard: Guard) -> list[str]:
        """Adding one that is there already is no error."""
        have = await self.of(owner, resource_id, guard)
        every = sorted({*have, *tags})
        if len(every) > MAX_TAGS:
            raise errors.HTTPBadRequest(reason=f"The number of tags exceed the per-resource limit of {MAX_TAGS}")
        async with self.deps.database.transaction() as tx:
            await resources.add_tags(tx.connection, [(resource_id, tag) for tag in tags])
        return every

    @retried
    async def remove(self, owner: Tagged, resource_id: str, tag: str, guard: Guard) -> None:
        await owner.get(resource_id, guard)
        async with self.deps.database.transaction() as tx:
            if not await resources.remove_tags(tx.connection, resource_id, [tag]):
                raise errors.TagNotFound(tag=tag)

    @retried
    async def clear(self, owner: Tagged, resource_id: str, guard: Guard) -> None:
        await owner.get(resource_id, guard)
        async with self.deps.database.transaction() as tx:
            await resources.remove_tags(tx.connection, resource_id, None)
