"""Rules of domains, which are projects that own users, groups and other projects."""

from __future__ import annotations

from typing import Any, ClassVar

from kilonova.core.db import Connection, retried
from kilonova.identity import errors
from kilonova.identity.resource_options import check_delete, merged
from kilonova.identity.resources.base import must_get
from kilonova.identity.resources.projects.logic import ProjectLogic, same_name
from kilonova.identity.store import assignments as assignment_store
from kilonova.identity.store.groups import groups
from kilonova.identity.store.projects import ProjectRow, projects
from kilonova.identity.store.roles import roles
from kilonova.identity.store.users import users


class DomainLogic(ProjectLogic):
    missing = errors.DomainNotFound
    where: ClassVar[dict[str, Any]] = {"is_domain": True}

    @retried
    async def create(self, values: dict[str, Any], domain_id: str | None = None) -> ProjectRow:
        row = values | {"id": domain_id or self.clock.hex_id(), "is_domain": True, "domain_id": "", "parent_id": None}
        row["options"] = merged({}, values["options"])
        async with self.storing("project", same_name(values["name"], "acting as domains")) as tx:
            await projects.add(tx.connection, row)
            return await self._get(tx.connection, row["id"])

    @retried
    async def delete(self, domain_id: str) -> None:
        """With everything in it, once it is disabled."""
        async with self.database.transaction() as tx:
            row = await self._get(tx.connection, domain_id, lock=True)
            check_delete("domain", row)
            if row.enabled:
                raise errors.Refused(reason="Cannot delete a domain that is enabled, please disable it first.")
            gone: list[str] = []
            for table in (users, groups):
                gone += [r.id for r in await table.find(tx.connection, domain_id=domain_id)]
                await table.remove(tx.connection, domain_id=domain_id)
            await self._remove_projects(tx.connection, domain_id)
            await assignment_store.forget(tx.connection, *gone)
            await roles.remove(tx.connection, domain_id=domain_id)
            await self.forget(tx.connection, [domain_id])
            await projects.remove(tx.connection, id=domain_id)
            void = await self.revocations.record(tx.connection, f"domain:{domain_id}", everything=True)
        await self.revocations.publish(void)

    async def _remove_projects(self, connection: Connection, domain_id: str) -> None:
        """All of a domain's projects, the leaves first."""
        left = {row.id: row.parent_id for row in await projects.find(connection, domain_id=domain_id)}
        await self.forget(connection, list(left))
        while left:
            leaves = sorted(left.keys() - set(left.values()))
            await projects.remove(connection, id=leaves)
            left = {key: parent for key, parent in left.items() if key not in leaves}

    async def _get(self, connection: Connection, domain_id: str, *, lock: bool = False) -> ProjectRow:
        return await must_get(connection, projects, self.missing, domain_id, lock=lock, **self.where)
