"""Rules of flavors, their extra specs and access lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.compute import errors
from kilonova.compute.peers import ProjectReader
from kilonova.compute.projects import check_project
from kilonova.compute.store import flavors as store
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, Row, retried

ProjectIds = list[str]
DEFAULTS = (  # id, name, MiB, vcpus, GiB
    ("42", "m1.nano", 128, 1, 1),
    ("84", "m1.micro", 192, 1, 1),
    ("1", "m1.tiny", 512, 1, 1),
    ("2", "m1.small", 2048, 1, 20),
    ("3", "m1.medium", 4096, 2, 40),
    ("4", "m1.large", 8192, 4, 80),
    ("5", "m1.xlarge", 16384, 8, 160),
)


def sees(ctx: RequestContext) -> str | None:
    """Whose private flavors the caller sees: its project's, or all (None) for admins."""
    return None if ctx.is_admin else ctx.project_id or ""


class FlavorLogic:
    def __init__(self, database: Database, clock: Clock, projects: ProjectReader) -> None:
        self.database, self.clock, self._projects = database, clock, projects

    @retried
    async def seed(self) -> None:
        """The usual flavors, in a database that has none; harmless when several processes do it at once."""
        async with self.database.transaction() as tx:
            every = store.FlavorFilter()
            if await store.page(tx.connection, every, limit=1, marker=None, sort_key="id", descending=False):
                return
            rows = [
                self._row(flavorid=flavorid, name=name, memory_mb=memory, vcpus=vcpus, root_gb=disk)
                for flavorid, name, memory, vcpus, disk in DEFAULTS
            ]
            await store.add(tx.connection, rows)

    def _row(self, **values: Any) -> dict[str, Any]:
        default: dict[str, Any] = {
            "description": None, "ephemeral_gb": 0, "swap_mb": 0, "rxtx_factor": 1.0, "is_public": True, "disabled": False,
            "extra_specs": {}, "created_at": self.clock.row_time(),
        }  # fmt: skip
        return default | values

    async def list(
        self, wanted: store.FlavorFilter, *, limit: int, marker: str | None, sort_key: str, descending: bool
    ) -> Sequence[Row]:
        async with self.database.reading() as connection:
            after = None
            if marker is not None:
                after = await store.get(connection, marker)
                if after is None:
                    raise errors.UnknownMarker(marker=marker)
            return await store.page(
                connection, wanted, limit=limit, marker=after, sort_key=sort_key, descending=descending
            )

    async def get(self, ctx: RequestContext, flavorid: str) -> Row:
        async with self.database.reading() as connection:
            return await self._get(connection, ctx, flavorid)

    async def _get(self, connection: Connection, ctx: RequestContext, flavorid: str, *, lock: bool = False) -> Row:
        row = await store.get(connection, flavorid, project_id=sees(ctx), lock=lock)
        if row is None:
            raise errors.FlavorNotFound(flavor_id=flavorid)
        return row

    @retried
    async def create(self, ctx: RequestContext, values: dict[str, Any]) -> Row:
        async with self.database.transaction() as tx:
            if await store.get(tx.connection, values["flavorid"]):
                raise errors.FlavorExists(field="ID", value=values["flavorid"])
            if await store.named(tx.connection, values["name"]):
                raise errors.FlavorExists(field="name", value=values["name"])
            await store.add(tx.connection, [self._row(**values)])
            return await self._get(tx.connection, ctx, values["flavorid"])

    @retried
    async def describe(self, ctx: RequestContext, flavorid: str, description: str | None) -> Row:
        async with self.database.transaction() as tx:
            row = await self._get(tx.connection, ctx, flavorid)
            await store.change(tx.connection, row.id, {"description": description})
            return await self._get(tx.connection, ctx, flavorid)

    @retried
    async def delete(self, ctx: RequestContext, flavorid: str) -> None:
        async with self.database.transaction() as tx:
            await store.remove(tx.connection, (await self._get(tx.connection, ctx, flavorid)).id)

    @retried
    async def set_specs(self, ctx: RequestContext, flavorid: str, specs: dict[str, str]) -> None:
        """Add to the extra specs, or replace some."""
        async with self.database.transaction() as tx:
            row = await self._get(tx.connection, ctx, flavorid, lock=True)
            await store.change(tx.connection, row.id, {"extra_specs": row.extra_specs | specs})

    @retried
    async def delete_spec(self, ctx: RequestContext, flavorid: str, key: str) -> None:
        async with self.database.transaction() as tx:
            row = await self._get(tx.connection, ctx, flavorid, lock=True)
            if key not in row.extra_specs:
                raise errors.ExtraSpecNotFound(flavor_id=flavorid, key=key)
            kept = {name: value for name, value in row.extra_specs.items() if name != key}
            await store.change(tx.connection, row.id, {"extra_specs": kept})

    async def projects(self, ctx: RequestContext, flavorid: str) -> ProjectIds:
        async with self.database.reading() as connection:
            row = await self._get(connection, ctx, flavorid)
            if row.is_public:
                raise errors.FlavorIsPublic
            return await store.projects(connection, row.id)

    async def grant(self, ctx: RequestContext, flavorid: str, project_id: str) -> ProjectIds:
        await check_project(self._projects, ctx, project_id)
        return await self._grant(ctx, flavorid, project_id)

    @retried
    async def _grant(self, ctx: RequestContext, flavorid: str, project_id: str) -> ProjectIds:
        async with self.database.transaction() as tx:
            row = await self._get(tx.connection, ctx, flavorid)
            if row.is_public:
                raise errors.FlavorIsPublicConflict
            if project_id in await store.projects(tx.connection, row.id):
                raise errors.FlavorAccessExists(flavor_id=flavorid, project_id=project_id)
            await store.grant(tx.connection, row.id, project_id)
            return await store.projects(tx.connection, row.id)

    @retried
    async def revoke(self, ctx: RequestContext, flavorid: str, project_id: str) -> ProjectIds:
        """Also from a project that is gone."""
        async with self.database.transaction() as tx:
            row = await self._get(tx.connection, ctx, flavorid)
            if row.is_public:
                raise errors.FlavorIsPublicConflict
            if not await store.revoke(tx.connection, row.id, project_id):
                raise errors.FlavorAccessNotFound(flavor_id=flavorid, project_id=project_id)
            return await store.projects(tx.connection, row.id)
