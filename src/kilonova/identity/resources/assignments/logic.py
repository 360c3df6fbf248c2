"""Rules of role assignments: which user or group has which role where. A token's roles are looked up when it is checked, so a
removed grant counts at once; other processes get an event and drop what they have cached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.core.db import Connection, retried
from kilonova.identity import errors
from kilonova.identity.interface import Revoked
from kilonova.identity.resources.base import Logic, must_get
from kilonova.identity.store import assignments as store
from kilonova.identity.store.assignments import ListedRow, assignments
from kilonova.identity.store.groups import groups
from kilonova.identity.store.projects import ProjectRow, projects
from kilonova.identity.store.roles import RoleRow, roles
from kilonova.identity.store.users import users

SYSTEM = "all"


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """`actor_kind` is user or group, `target_kind` project, domain or system (whose id is "all")."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    inherited: bool = False

    def columns(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__struct_fields__}


class AssignmentLogic(Logic):
    async def roles(self, grant: Grant) -> Sequence[RoleRow]:
        """The roles granted directly."""
        async with self.database.reading() as connection:
            await self._check(connection, grant)
            held = await assignments.find(connection, **grant.columns())
            return await roles.find(connection, id=[row.role_id for row in held])

    async def check(self, grant: Grant, role_id: str) -> None:
        async with self.database.reading() as connection:
            await must_get(connection, roles, errors.RoleNotFound, role_id)
            await self._check(connection, grant)
            if await assignments.get(connection, **grant.columns(), role_id=role_id) is None:
                raise errors.AssignmentNotFound(role=role_id, actor=grant.actor_id, target=grant.target_id)

    @retried
    async def grant(self, grant: Grant, role_id: str) -> None:
        """Harmless to repeat."""
        async with self.database.transaction() as tx:
            role = await must_get(tx.connection, roles, errors.RoleNotFound, role_id)
            target = await self._check(tx.connection, grant, lock=True)
            self._check_domain(role, grant, target)
            row = grant.columns() | {"role_id": role_id}
            if await assignments.get(tx.connection, **row) is None:
                await assignments.add(tx.connection, row)
            void = await self._record(tx.connection, grant)
        await self.revocations.publish(void)

    @retried
    async def revoke(self, grant: Grant, role_id: str) -> None:
        async with self.database.transaction() as tx:
            await must_get(tx.connection, roles, errors.RoleNotFound, role_id)
            if not await assignments.remove(tx.connection, **grant.columns(), role_id=role_id):
                raise errors.AssignmentNotFound(role=role_id, actor=grant.actor_id, target=grant.target_id)
            void = await self._record(tx.connection, grant)
        await self.revocations.publish(void)

    async def _record(self, connection: Connection, grant: Grant) -> Revoked | None:
        if grant.actor_kind == "user":
            return await self.revocations.record(connection, user_ids=[grant.actor_id])
        return await self.revocations.record(connection, everything=True)

    async def _check(self, connection: Connection, grant: Grant, *, lock: bool = False) -> ProjectRow | None:
        """The target's row; raises a 404 for an actor or target that is not there. What is granted refers to both by no key:
        with `lock` neither is deleted meanwhile."""
        if grant.actor_kind == "user":
            await must_get(connection, users, errors.UserNotFound, grant.actor_id, lock=lock)
        else:
            await must_get(connection, groups, errors.GroupNotFound, grant.actor_id, lock=lock)
        if grant.target_kind == "project":
            return await must_get(connection, projects, errors.ProjectNotFound, grant.target_id, lock=lock)
        if grant.target_kind == "domain":
            where = {"lock": lock, "is_domain": True}
            return await must_get(connection, projects, errors.DomainNotFound, grant.target_id, **where)
        return None

    def _check_domain(self, role: RoleRow, grant: Grant, target: ProjectRow | None) -> None:
        if not role.domain_id:
            return
        if target is None:
            raise errors.Invalid(
                reason=f"Role {role.id} is a domain-specific role. Unable to use a domain-specific role in a system"
                " assignment."
            )
        if role.domain_id not in (target.domain_id, target.id):
            raise errors.Refused(
                reason=f"Project {grant.target_id} must be in the same domain as the role {role.id} being assigned."
            )

    async def list(self, where: dict[str, Any], *, effective: bool = False) -> Sequence[ListedRow]:
        """Rows of store.assignments.listing; `where` are columns of the assignments."""
        async with self.database.reading() as connection:
            return await store.listing(connection, where, effective=effective)
