"""Rules of server groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.compute.options import ComputeOptions
from kilonova.compute.resources.quotas.counting import limits_of
from kilonova.compute.resources.server_groups import errors
from kilonova.compute.store import locks
from kilonova.compute.store import server_groups as store
from kilonova.compute.store import servers as server_store
from kilonova.compute.store.server_groups import ServerGroupRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, retried

Members = list[str]


class ServerGroupLogic:
    def __init__(self, database: Database, clock: Clock, options: ComputeOptions) -> None:
        self.database, self.clock, self.options = database, clock, options

    async def list(
        self, project_id: str | None, *, limit: int, offset: int
    ) -> tuple[Sequence[ServerGroupRow], dict[str, Members]]:
        """(groups, group → uuids of its servers); of all projects with None."""
        async with self.database.reading() as connection:
            rows = await store.page(connection, project_id, limit=limit, offset=offset)
            return rows, await server_store.group_members(connection, [row.uuid for row in rows])

    async def get(self, ctx: RequestContext, group_id: str) -> tuple[ServerGroupRow, Members]:
        async with self.database.reading() as connection:
            row = await self._get(connection, ctx, group_id)
            return row, (await server_store.group_members(connection, [row.uuid])).get(row.uuid, [])

    async def _get(self, connection: Connection, ctx: RequestContext, group_id: str) -> ServerGroupRow:
        row = await store.get(connection, group_id)
        if row is None or (row.project_id != ctx.project_id and not ctx.is_admin):
            raise errors.ServerGroupNotFound(group_id=group_id)
        return row

    @retried
    async def create(self, ctx: RequestContext, name: str, policy: str, rules: dict[str, Any]) -> ServerGroupRow:
        project_id, resource = ctx.project_id or "", "server_groups"
        async with self.database.transaction() as tx:
            await locks.of_project(tx.connection, project_id)
            limits = await limits_of(tx.connection, self.options.quotas, project_id, ctx.user_id)
            for bound, user in limits.bounds(ctx.user_id, resource):
                used = await store.count(tx.connection, project_id, user)
                if bound[resource] <= used:
                    raise errors.ServerGroupQuota(resource=resource, requested=1, used=used, limit=bound[resource])
            uuid = self.clock.uuid()
            await store.add(tx.connection, {
                "uuid": uuid, "name": name, "project_id": project_id, "user_id": ctx.user_id, "policy": policy,
                "rules": rules, "created_at": self.clock.row_time()})  # fmt: skip
            return await self._get(tx.connection, ctx, uuid)

    @retried
    async def delete(self, ctx: RequestContext, group_id: str) -> None:
        async with self.database.transaction() as tx:
            await store.remove(tx.connection, (await self._get(tx.connection, ctx, group_id)).uuid)
