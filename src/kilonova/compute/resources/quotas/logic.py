"""Rules of quota sets: what operators set, what is in use."""

from __future__ import annotations

import msgspec

from kilonova.compute.options import ComputeOptions
from kilonova.compute.peers import ProjectReader
from kilonova.compute.projects import check_project
from kilonova.compute.resources.quotas import errors
from kilonova.compute.resources.quotas.counting import RESOURCES, Limits, limits_of
from kilonova.compute.store import locks
from kilonova.compute.store import quotas as store
from kilonova.compute.store import server_groups as group_store
from kilonova.compute.store import servers as server_store
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, retried


class QuotaSetLogic:
    def __init__(self, database: Database, options: ComputeOptions, projects: ProjectReader) -> None:
        self.database, self.options, self._projects = database, options, projects

    async def check(self, ctx: RequestContext, project_id: str) -> None:
        """Raises UnknownProject."""
        await check_project(self._projects, ctx, project_id)

    async def limits(self, project_id: str, user_id: str | None = None) -> dict[str, int]:
        async with self.database.reading() as connection:
            return (await self._limits(connection, project_id, user_id)).merged()

    async def _limits(self, connection: Connection, project_id: str, user_id: str | None) -> Limits:
        return await limits_of(connection, self.options.quotas, project_id, user_id)

    async def with_usage(self, project_id: str, user_id: str | None = None) -> dict[str, tuple[int, int]]:
        """resource → (limit, in use)."""
        async with self.database.reading() as connection:
            limits = (await self._limits(connection, project_id, user_id)).merged()
            used = await self._used(connection, project_id, user_id)
        return {name: (limit, used.get(name, 0)) for name, limit in limits.items()}

    async def _used(self, connection: Connection, project_id: str, user_id: str | None) -> dict[str, int]:
        instances, cores, ram = await server_store.usage(connection, project_id, user_id)
        groups = await group_store.count(connection, project_id, user_id)
        return {"instances": instances, "cores": cores, "ram": ram, "server_groups": groups}

    async def of_class(self, name: str) -> dict[str, int]:
        async with self.database.reading() as connection:
            found = await store.find(connection, [("class", name)])
        defaults: dict[str, int] = msgspec.structs.asdict(self.options.quotas)
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
        """Set limits. Without `force` none below what is in use, a project's none below the sum of its users' limits, and a
        user's none above what the other users' leave of the project's."""
        async with self.database.transaction() as tx:
            await locks.of_project(tx.connection, project_id)
            if not force:
                await self._check(tx.connection, project_id, user_id, limits)
            await store.put(tx.connection, *_owner(project_id, user_id), limits)
            return (await self._limits(tx.connection, project_id, user_id)).merged()

    async def _check(
        self, connection: Connection, project_id: str, user_id: str | None, limits: dict[str, int]
    ) -> None:
        used = await self._used(connection, project_id, user_id)
        given = await store.of_users(connection, project_id, but=user_id)
        whole = (await self._limits(connection, project_id, None)).project
        for name, limit in limits.items():
            least = used.get(name, 0) if user_id is not None else max(used.get(name, 0), given.get(name, 0))
            if 0 <= limit < least:
                raise errors.QuotaTooLow(limit=limit, resource=name, used=least)
            if user_id is not None and whole.get(name, -1) >= 0:
                most = max(0, whole[name] - given.get(name, 0))
                if not 0 <= limit <= most:
                    raise errors.QuotaTooHigh(limit=limit, resource=name, maximum=most)

    @retried
    async def reset(self, project_id: str, user_id: str | None) -> None:
        async with self.database.transaction() as tx:
            await store.remove(tx.connection, *_owner(project_id, user_id))


def _owner(project_id: str, user_id: str | None) -> tuple[str, str]:
    return ("project", project_id) if user_id is None else ("user", f"{project_id}/{user_id}")


__all__ = ["RESOURCES", "QuotaSetLogic"]
