"""Rules of projects. Some of them are domains too, which are projects that act as such; see domains/logic.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from kilonova.core.db import Connection, retried
from kilonova.identity import errors
from kilonova.identity.resource_options import check_delete, check_update, merged
from kilonova.identity.resources.base import Logic, must_get
from kilonova.identity.store import assignments as assignment_store
from kilonova.identity.store.credentials import credentials
from kilonova.identity.store.projects import ProjectRow, projects
from kilonova.identity.store.users import users


class ProjectLogic(Logic):
    """`missing` and `where` say which projects `get` and `update` are about."""

    missing: type[errors.ProjectNotFound | errors.DomainNotFound] = errors.ProjectNotFound
    where: ClassVar[dict[str, Any]] = {}

    async def list(self, **filters: Any) -> Sequence[ProjectRow]:
        async with self.database.reading() as connection:
            return await projects.find(connection, **filters)

    async def of_user(self, user_id: str, *, domains: bool = False) -> Sequence[ProjectRow]:
        """Where a user has a role."""
        async with self.database.reading() as connection:
            return await assignment_store.projects_of(connection, user_id, domains=domains)

    async def has_system_role(self, user_id: str) -> bool:
        async with self.database.reading() as connection:
            return await assignment_store.has_system_role(connection, user_id)

    async def get(self, project_id: str) -> ProjectRow:
        async with self.database.reading() as connection:
            return await must_get(connection, projects, self.missing, project_id, **self.where)

    @retried
    async def create(self, values: dict[str, Any]) -> ProjectRow:
        """`values` are columns; without a domain it is that of the parent, without a parent the domain is."""
        row = values | {"id": self.clock.hex_id(), "is_domain": False, "options": merged({}, values["options"])}
        async with self.storing("project", same_name(values["name"], "in the same domain")) as tx:
            parent_id = values.get("parent_id") or values.get("domain_id") or self.options.default_domain_id
            parent = await projects.get(tx.connection, lock=True, id=parent_id)
            if parent is None:
                kind = errors.ProjectNotFound if values.get("parent_id") else errors.DomainNotFound
                raise kind(id=parent_id)
            domain_id = parent.id if parent.is_domain else parent.domain_id
            row |= {"parent_id": parent.id, "domain_id": values.get("domain_id") or domain_id}
            if row["domain_id"] != domain_id:
                raise errors.Invalid(
                    reason=f"Cannot create project, since it specifies its domain_id {row['domain_id']}, but specifies a"
                    f" parent in a different domain ({domain_id})."
                )
            if values["enabled"] and not parent.enabled:
                raise errors.Invalid(
                    reason=f"cannot create a project in a branch containing a disabled project: {parent.id}"
                )
            await projects.add(tx.connection, row)
            return await must_get(tx.connection, projects, errors.ProjectNotFound, row["id"])

    @retried
    async def update(self, project_id: str, values: dict[str, Any], extra: dict[str, Any]) -> ProjectRow:
        void = None
        async with self.storing("project", same_name(str(values.get("name")), "in the same domain")) as tx:
            row = await must_get(tx.connection, projects, self.missing, project_id, lock=True, **self.where)
            check_update("domain" if row.is_domain else "project", row, values, extra)
            self._check_update(row, values)
            kept = {"extra": row.extra | extra, "options": merged(row.options, values.get("options", {}))}
            await projects.change(tx.connection, values | kept, id=project_id)
            if values.get("enabled") is False and row.enabled:
                subject = f"{'domain' if row.is_domain else 'project'}:{project_id}"
                void = await self.revocations.record(
                    tx.connection, subject, project_ids=[project_id], everything=row.is_domain
                )
            updated = await must_get(tx.connection, projects, self.missing, project_id)
        await self.revocations.publish(void)
        return updated

    def _check_update(self, row: ProjectRow, values: dict[str, Any]) -> None:
        if values.pop("domain_id", row.domain_id or None) != (row.domain_id or None):
            raise errors.Invalid(reason="Cannot change Domain ID")
        if values.pop("parent_id", row.parent_id) != row.parent_id:
            raise errors.Refused(reason="Update of `parent_id` is not allowed.")
        if values.pop("is_domain", row.is_domain) != row.is_domain:
            raise errors.Invalid(reason="Update of `is_domain` is not allowed.")

    @retried
    async def delete(self, project_id: str) -> None:
        async with self.database.transaction() as tx:
            row = await must_get(tx.connection, projects, errors.ProjectNotFound, project_id, lock=True)
            if row.is_domain:
                raise errors.Refused(reason="Cannot delete a project acting as a domain; delete the domain.")
            check_delete("project", row)
            if await projects.get(tx.connection, parent_id=project_id) is not None:
                raise errors.Refused(
                    reason=f"Cannot delete the project {project_id} since it is not a leaf in the hierarchy. Use the"
                    " cascade option if you want to delete a whole subtree."
                )
            await self.forget(tx.connection, [project_id])
            await projects.remove(tx.connection, id=project_id)
            void = await self.revocations.record(tx.connection, f"project:{project_id}", project_ids=[project_id])
        await self.revocations.publish(void)

    async def forget(self, connection: Connection, ids: Sequence[str]) -> None:
        """Rows that refer to projects without belonging to them."""
        if not ids:
            return
        await assignment_store.forget(connection, *ids)
        await credentials.remove(connection, project_id=[*ids])
        await users.change(connection, {"default_project_id": None}, default_project_id=[*ids])

    async def parents(self, project_id: str) -> Sequence[ProjectRow]:
        """The projects above one, nearest first, without its domain."""
        found: list[ProjectRow] = []
        async with self.database.reading() as connection:
            row = await must_get(connection, projects, errors.ProjectNotFound, project_id)
            while row.parent_id is not None and row.parent_id != row.domain_id:
                row = await must_get(connection, projects, errors.ProjectNotFound, row.parent_id)
                found.append(row)
        return found

    async def children(self, project_id: str) -> Sequence[ProjectRow]:
        """All projects below one."""
        found: list[ProjectRow] = []
        level = [project_id]
        async with self.database.reading() as connection:
            while level:
                rows = await projects.find(connection, parent_id=level)
                found.extend(rows)
                level = [row.id for row in rows]
        return found


def same_name(name: str, where: str) -> str:
    """The details of a Duplicate."""
    return f"it is not permitted to have two projects {where} with the same name : {name}"
