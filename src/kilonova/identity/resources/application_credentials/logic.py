"""Rules of application credentials: secrets with which programs act for a user on one project, with no more roles than
they were given and never more than the user still has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.core.db import Connection, retried
from kilonova.identity import errors, timestamps
from kilonova.identity.resources.base import Logic, must_get
from kilonova.identity.store import assignments as assignment_store
from kilonova.identity.store.application_credentials import (
    ApplicationCredentialRow,
    application_credential_roles,
    application_credentials,
)
from kilonova.identity.store.assignments import RoleNameRow
from kilonova.identity.store.credentials import credentials
from kilonova.identity.store.roles import RoleRow, roles
from kilonova.identity.store.users import users
from kilonova.identity.tokens.lifecycle import Token


class Held(msgspec.Struct, frozen=True):
    """A credential's row, the roles it was given, and its secret when it was just made."""

    row: ApplicationCredentialRow
    roles: Sequence[RoleRow]
    secret: str | None = None


class ApplicationCredentialLogic(Logic):
    async def list(self, user_id: str, **filters: Any) -> Sequence[Held]:
        async with self.database.reading() as connection:
            await must_get(connection, users, errors.UserNotFound, user_id)
            rows = await application_credentials.find(connection, user_id=user_id, **filters)
            return await self._with_roles(connection, rows)

    async def get(self, user_id: str, credential_id: str) -> Held:
        async with self.database.reading() as connection:
            row = await self._get(connection, user_id, credential_id)
            return (await self._with_roles(connection, [row]))[0]

    async def _get(self, connection: Connection, user_id: str, credential_id: str) -> ApplicationCredentialRow:
        missing = errors.ApplicationCredentialNotFound
        return await must_get(connection, application_credentials, missing, credential_id, user_id=user_id)

    async def _with_roles(self, connection: Connection, rows: Sequence[ApplicationCredentialRow]) -> Sequence[Held]:
        given = await application_credential_roles.find(connection, credential_id=[row.id for row in rows])
        known = {row.id: row for row in await roles.find(connection, id=[pair.role_id for pair in given])}
        return [Held(row, [known[pair.role_id] for pair in given if pair.credential_id == row.id]) for row in rows]

    @retried
    async def create(
        self, token: Token, values: dict[str, Any], wanted: Sequence[dict[str, str]], expires_at: str | None,
        secret: str | None,
    ) -> Held:  # fmt: skip
        """For the caller, on the project of the caller's token. `wanted` are roles by {"id"} or {"name"}, of those that the
        token has; empty means all of them."""
        if token.payload.scope != "project":
            raise errors.Invalid(reason="Invalid application credential: a project scoped token is needed")
        user_id, project_id = token.payload.user_id, token.payload.scope_id or ""
        secret = secret or self.clock.secret(64)
        async with self.passwords.slots.slot("", f"id {user_id}"):
            secret_hash = await self.passwords.hash(secret)
        row = values | {
            "id": self.clock.hex_id(),
            "user_id": user_id,
            "project_id": project_id,
            "expires_at": self._expiry(expires_at),
            "secret_hash": secret_hash,
        }
        details = f"Duplicate entry found with name {values['name']}"
        async with self.storing("application_credential", details) as tx:
            await must_get(tx.connection, users, errors.UserNotFound, user_id, lock=True)  # one counts at a time
            held = await application_credentials.count(tx.connection, user_id=user_id)
            if 0 <= self.options.max_application_credentials <= held:
                raise errors.ApplicationCredentialLimit(limit=self.options.max_application_credentials)
            has = await assignment_store.effective(tx.connection, user_id, "project", project_id)
            allowed = {role.id for role in token.roles}  # fewer than the user has, with an application credential
            given = _choose([role for role in has if role.id in allowed], wanted)
            await application_credentials.add(tx.connection, row)
            pairs = [{"credential_id": row["id"], "role_id": role.id} for role in given]
            await application_credential_roles.add(tx.connection, *pairs)
            made = await self._get(tx.connection, user_id, row["id"])
            return Held(made, await roles.find(tx.connection, id=[role.id for role in given]), secret)

    @retried
    async def delete(self, user_id: str, credential_id: str) -> None:
        """Ends the tokens got with it, and the EC2 keys made with them."""
        async with self.database.transaction() as tx:
            await self._get(tx.connection, user_id, credential_id)
            await credentials.remove(tx.connection, application_credential_id=credential_id)
            await application_credentials.remove(tx.connection, id=credential_id)
            void = await self.revocations.record(tx.connection, user_ids=[user_id])
        await self.revocations.publish(void)

    def _expiry(self, text: str | None) -> int | None:
        if text is None:
            return None
        try:
            moment = timestamps.parse(text)
        except ValueError:
            raise errors.Invalid(
                reason="Timestamp not in expected format: 'expires_at' must be like 2031-01-31T12:00:00."
                + errors.ASSUMED
            ) from None
        if moment <= timestamps.now(self.clock):
            raise errors.Invalid(reason="The 'expires_at' must not be before now." + errors.ASSUMED)
        return moment


def _choose(has: Sequence[RoleNameRow], wanted: Sequence[dict[str, str]]) -> list[RoleNameRow]:
    chosen: dict[str, RoleNameRow] = {}
    for reference in wanted:
        found = [role for role in has if all(getattr(role, key) == value for key, value in reference.items())]
        if not found:
            named = next(iter(reference.values()))
            raise errors.Invalid(
                reason="Invalid application credential: Cannot create an application credential with unassigned role:"
                f" {named}"
            )
        chosen[found[0].id] = found[0]
    return list(chosen.values()) if wanted else list(has)
