"""Rules of users and their passwords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.db import Connection, retried
from kilonova.identity import errors
from kilonova.identity.logins.lockout import forget as forget_failures
from kilonova.identity.resource_options import LOCK_PASSWORD, merged
from kilonova.identity.resources.base import Logic, must_get
from kilonova.identity.store import assignments as assignment_store
from kilonova.identity.store import groups as group_store
from kilonova.identity.store.groups import GroupRow
from kilonova.identity.store.projects import projects
from kilonova.identity.store.users import UserRow, users


class UserLogic(Logic):
    async def list(self, **filters: Any) -> Sequence[UserRow]:
        async with self.database.reading() as connection:
            return await users.find(connection, **filters)

    async def get(self, user_id: str) -> UserRow:
        async with self.database.reading() as connection:
            return await must_get(connection, users, errors.UserNotFound, user_id)

    @retried
    async def create(self, values: dict[str, Any], password: str | None) -> UserRow:
        hashed = await self.passwords.hash(password) if password is not None else None
        row = values | {"id": self.clock.hex_id(), "password_hash": hashed, "options": merged({}, values["options"])}
        async with self.storing("user", _twin(row)) as tx:
            await must_get(tx.connection, projects, errors.DomainNotFound, row["domain_id"], is_domain=True)
            await self._check_default(tx.connection, row.get("default_project_id"))
            await users.add(tx.connection, row)
            return await must_get(tx.connection, users, errors.UserNotFound, row["id"])

    @retried
    async def update(
        self, user_id: str, values: dict[str, Any], extra: dict[str, Any], password: str | None
    ) -> UserRow:
        """A new password, or being disabled, ends all the user's tokens; a new password, or being enabled, a lock-out."""
        known = await self.get(user_id)
        if values.get("domain_id", known.domain_id) != known.domain_id:
            raise errors.Invalid(reason="Cannot change Domain ID")
        if password is not None:
            values |= {"password_hash": await self.passwords.hash(password)}
        ends = password is not None or values.get("enabled") is False
        void = None
        async with self.storing("user", _twin({"domain_id": known.domain_id, "name": known.name} | values)) as tx:
            row = await must_get(tx.connection, users, errors.UserNotFound, user_id, lock=True)
            await self._check_default(tx.connection, values.get("default_project_id"))
            kept = {"extra": row.extra | extra, "options": merged(row.options, values.get("options", {}))}
            await users.change(tx.connection, values | kept, id=user_id)
            if password is not None or values.get("enabled"):
                await forget_failures(tx.connection, user_id)
            if ends:
                void = await self.revocations.record(tx.connection, f"user:{user_id}", user_ids=[user_id])
            updated = await must_get(tx.connection, users, errors.UserNotFound, user_id)
        await self.revocations.publish(void)
        return updated

    async def change_password(self, user_id: str, password: str) -> None:
        """By the user, after the old one was checked. Raises PasswordLocked where an admin has forbidden it."""
        if ((await self.get(user_id)).options or {}).get(LOCK_PASSWORD):
            raise errors.PasswordLocked
        await self.update(user_id, {}, {}, password)

    @retried
    async def delete(self, user_id: str) -> None:
        async with self.database.transaction() as tx:
            await must_get(tx.connection, users, errors.UserNotFound, user_id, lock=True)
            await assignment_store.forget(tx.connection, user_id)
            await forget_failures(tx.connection, user_id)
            await users.remove(tx.connection, id=user_id)
            void = await self.revocations.record(tx.connection, f"user:{user_id}", user_ids=[user_id])
        await self.revocations.publish(void)

    async def groups(self, user_id: str, **filters: Any) -> Sequence[GroupRow]:
        async with self.database.reading() as connection:
            await must_get(connection, users, errors.UserNotFound, user_id)
            return await group_store.of_user(connection, user_id, filters)

    async def _check_default(self, connection: Connection, project_id: str | None) -> None:
        if project_id is None:
            return
        found = await projects.get(connection, id=project_id)
        if found is not None and found.is_domain:
            raise errors.Invalid(reason="User's default project ID cannot be a domain ID: " + project_id)


def _twin(row: dict[str, Any]) -> str:
    return f"Duplicate entry found with name {row['name']} at domain ID {row['domain_id']}"
