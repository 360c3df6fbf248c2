"""Rules of groups and their members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.db import Connection, retried
from kilonova.identity import errors
from kilonova.identity.resources.base import Logic, must_get
from kilonova.identity.store import assignments as assignment_store
from kilonova.identity.store import groups as group_store
from kilonova.identity.store.groups import GroupRow, groups, memberships
from kilonova.identity.store.projects import projects
from kilonova.identity.store.users import UserRow, users


class GroupLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[GroupRow]:
        async with self.database.reading() as connection:
            return await groups.find(connection, **filters)

    async def get(self, group_id: str) -> GroupRow:
        async with self.database.reading() as connection:
            return await must_get(connection, groups, errors.GroupNotFound, group_id)

    @retried
    async def create(self, values: dict[str, Any]) -> GroupRow:
        row = values | {"id": self.clock.hex_id()}
        async with self.storing("group", _twin(row)) as tx:
            await must_get(tx.connection, projects, errors.DomainNotFound, row["domain_id"], is_domain=True)
            await groups.add(tx.connection, row)
            return await must_get(tx.connection, groups, errors.GroupNotFound, row["id"])

    @retried
    async def update(self, group_id: str, values: dict[str, Any], extra: dict[str, Any]) -> GroupRow:
        known = await self.get(group_id)
        if values.get("domain_id", known.domain_id) != known.domain_id:
            raise errors.Invalid(reason="Cannot change Domain ID")
        async with self.storing("group", _twin({"domain_id": known.domain_id, "name": known.name} | values)) as tx:
            row = await must_get(tx.connection, groups, errors.GroupNotFound, group_id, lock=True)
            await groups.change(tx.connection, values | {"extra": row.extra | extra}, id=group_id)
            return await must_get(tx.connection, groups, errors.GroupNotFound, group_id)

    @retried
    async def delete(self, group_id: str) -> None:
        """Its members lose the roles it gave them at once."""
        async with self.database.transaction() as tx:
            await must_get(tx.connection, groups, errors.GroupNotFound, group_id, lock=True)
            members = [row.user_id for row in await memberships.find(tx.connection, group_id=group_id)]
            await assignment_store.forget(tx.connection, group_id)
            await groups.remove(tx.connection, id=group_id)
            void = await self.revocations.record(tx.connection, user_ids=members)
        await self.revocations.publish(void)

    async def members(self, group_id: str, **filters: Any) -> Sequence[UserRow]:
        async with self.database.reading() as connection:
            await must_get(connection, groups, errors.GroupNotFound, group_id)
            return await group_store.members(connection, group_id, filters)

    @retried
    async def add_member(self, group_id: str, user_id: str) -> None:
        """Harmless to repeat."""
        async with self.database.transaction() as tx:
            await self._both(tx.connection, group_id, user_id)
            if await memberships.get(tx.connection, group_id=group_id, user_id=user_id) is None:
                await memberships.add(tx.connection, {"group_id": group_id, "user_id": user_id})
            void = await self.revocations.record(tx.connection, user_ids=[user_id])
        await self.revocations.publish(void)

    @retried
    async def remove_member(self, group_id: str, user_id: str) -> None:
        async with self.database.transaction() as tx:
            await self._both(tx.connection, group_id, user_id)
            if not await memberships.remove(tx.connection, group_id=group_id, user_id=user_id):
                raise errors.MembershipNotFound(user=user_id, group=group_id)
            void = await self.revocations.record(tx.connection, user_ids=[user_id])
        await self.revocations.publish(void)

    async def check_member(self, group_id: str, user_id: str) -> None:
        async with self.database.reading() as connection:
            await self._both(connection, group_id, user_id)
            if await memberships.get(connection, group_id=group_id, user_id=user_id) is None:
                raise errors.MembershipNotFound(user=user_id, group=group_id)

    async def _both(self, connection: Connection, group_id: str, user_id: str) -> None:
        await must_get(connection, groups, errors.GroupNotFound, group_id)
        await must_get(connection, users, errors.UserNotFound, user_id)


def _twin(row: dict[str, Any]) -> str:
    return f"Duplicate entry found with name {row['name']} at domain ID {row['domain_id']}"
