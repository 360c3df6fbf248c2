"""Rules of quotas: limits of projects and how much of them is used."""

from __future__ import annotations

from collections import defaultdict

from kilonova.core.db import retried
from kilonova.network import errors
from kilonova.network.deps import Deps
from kilonova.network.resources.quotas.schemas import Use
from kilonova.network.store import quotas as store


class QuotaLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    def defaults(self) -> dict[str, int]:
        return {name: self.deps.options.quota(name) for name in self.deps.counted.values()}

    async def of_project(self, project_id: str) -> dict[str, int]:
        async with self.deps.database.reading() as connection:
            own = {row.resource: row.amount for row in await store.limits(connection, project_id)}
        return self.defaults() | own

    async def details(self, project_id: str) -> dict[str, Use]:
        found: dict[str, Use] = {}
        async with self.deps.database.reading() as connection:
            for objects, name in self.deps.counted.items():
                now = await store.usage(connection, project_id, name, objects)
                limit = self.deps.options.quota(name) if now.amount is None else now.amount
                found[name] = Use(limit=limit, used=now.used, reserved=0)
        return found

    async def list(self) -> dict[str, dict[str, int]]:
        """Projects that have limits of their own, with all of their limits."""
        found: defaultdict[str, dict[str, int]] = defaultdict(self.defaults)
        async with self.deps.database.reading() as connection:
            for row in await store.limits(connection):
                found[row.project_id][row.resource] = row.amount
        return found

    @retried
    async def update(self, project_id: str, amounts: dict[str, int], *, force: bool = False) -> dict[str, int]:
        """Set limits; one that is below what is used already only with `force`."""
        counted = {name: objects for objects, name in self.deps.counted.items()}
        unknown = sorted(set(amounts) - set(counted))
        if unknown:
            raise errors.HTTPBadRequest(reason=f"Unrecognized attribute(s) '{', '.join(unknown)}'")
        async with self.deps.database.transaction() as tx:
            for resource, limit in () if force else amounts.items():
                used = (await store.usage(tx.connection, project_id, resource, counted[resource])).used
                if 0 <= limit < used:
                    raise errors.HTTPBadRequest(
                        reason=f"Quota limit {limit} for {resource} must be greater than or equal to already used {used}"
                    )
            await store.set_limits(tx.connection, project_id, amounts)
        return await self.of_project(project_id)

    @retried
    async def reset(self, project_id: str) -> None:
        async with self.deps.database.transaction() as tx:
            if not await store.clear_limits(tx.connection, project_id):
                raise errors.TenantQuotaNotFound(project_id=project_id)
