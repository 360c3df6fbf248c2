"""Rules of quota sets: what operators set, what is in use."""

from __future__ import annotations

from kilonova.compute import errors
from kilonova.compute.logic.quotas import RESOURCES, effective, limits_of
from kilonova.compute.options import ComputeOptions
from kilonova.compute.store import quotas as store
from kilonova.compute.store import server_groups as group_store
from kilonova.compute.store import servers as server_store
from kilonova.core.db import Connection, Database, retried


class QuotaSetLogic:
    def __init__(self, database: Database, options: ComputeOptions) -> None:
        self.database, self.options = database, options

    async def limits(self, project_id: str, user_id: str | None = None) -> dict[str, int]:
        async with self.database.reading() as connection:
            return await limits_of(connection, self.options.quotas, project_id, user_id)

    async def with_usage(self, project_id: str, user_id: str | None = None) -> dict[str, tuple[int, int]]:
        """resource → (limit, in use)."""
        async with self.database.reading() as connection:
            limits = await limits_of(connection, self.options.quotas, project_id, user_id)
            used = await self._used(connection, project_id, user_id)
        return {name: (limit, used.get(name, 0)) for name, limit in limits.items()}

    async def _used(self, connection: Connection, project_id: str, user_id: str | None) -> dict[str, int]:
        instances, cores, ram = await server_store.usage(connection, project_id, user_id)
        groups = await group_store.count(connection, project_id)
        return {"instances": instances, "cores": cores, "ram": ram, "server_groups": groups}

    async def of_class(self, name: str) -> dict[str, int]:
        async with self.database.reading() as connection:
            found = await store.find(connection, [("class", name)])
        defaults = effective(self.options.quotas, {}, "")
        return defaults | found.get(("class", name), {})

    @retried
    async def set_class(self, name: str, limits: dict[str, int]) -> dict[str, int]:
        async with self.database.transaction() as tx:
            await store.put(tx.connection, "class", name, limits)
        return await self.of_class(name)

    @retried
    async def update(
        self, project_id: str, user_id: str | None, limits: dict[str, int], *, force: bool
    ) -> dict[str, int]:
        """Set limits; without `force` none below what is in use."""
        async with self.database.transaction() as tx:
            if not force:
                used = await self._used(tx.connection, project_id, user_id)
                for name, limit in limits.items():
                    if 0 <= limit < used.get(name, 0):
                        raise errors.QuotaTooLow(limit=limit, resource=name, used=used[name])
            await store.put(tx.connection, *_owner(project_id, user_id), limits)
            return await limits_of(tx.connection, self.options.quotas, project_id, user_id)

    @retried
    async def reset(self, project_id: str, user_id: str | None) -> None:
        async with self.database.transaction() as tx:
            await store.remove(tx.connection, *_owner(project_id, user_id))


def _owner(project_id: str, user_id: str | None) -> tuple[str, str]:
    return ("project", project_id) if user_id is None else ("user", f"{project_id}/{user_id}")


__all__ = ["RESOURCES", "QuotaSetLogic"]
