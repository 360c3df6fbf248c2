"""Rules of credentials: EC2 keys and others, whose contents are sealed in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.core.db import Row, retried
from kilonova.identity import errors
from kilonova.identity.logic.base import Logic, Parts, must_get
from kilonova.identity.logic.keys import KeyRepository
from kilonova.identity.store import records
from kilonova.identity.tables import credentials, projects, users

EC2 = "ec2"


class Held(msgspec.Struct, frozen=True):
    """A credential's row and its opened blob."""

    row: Row
    blob: str


class CredentialLogic(Logic):
    def __init__(self, parts: Parts, keys: KeyRepository) -> None:
        super().__init__(parts)
        self._keys = keys

    async def list(self, **filters: Any) -> Sequence[Held]:
        async with self.database.reading() as connection:
            return [self._open(row) for row in await records.find(connection, credentials, **filters)]

    async def get(self, credential_id: str) -> Held:
        async with self.database.reading() as connection:
            return self._open(await must_get(connection, credentials, errors.CredentialNotFound, credential_id))

    @retried
    async def create(self, *, kind: str, blob: str, user_id: str, project_id: str | None) -> Held:
        row: dict[str, Any] = {
            "id": self._id(kind, blob),
            "type": kind,
            "user_id": user_id,
            "project_id": project_id,
            "sealed_blob": self._keys.seal(blob.encode()),
        }
        if kind == EC2 and project_id is None:
            raise errors.Missing(attribute="project_id", target="credential")
        async with self.storing("credential", "Duplicate entry") as tx:
            await must_get(tx.connection, users, errors.UserNotFound, user_id)
            if project_id is not None:
                await must_get(tx.connection, projects, errors.ProjectNotFound, project_id)
            await records.add(tx.connection, credentials, row)
            made = await must_get(tx.connection, credentials, errors.CredentialNotFound, row["id"])
        return self._open(made)

    @retried
    async def update(self, credential_id: str, values: dict[str, Any], blob: str | None) -> Held:
        known = await self.get(credential_id)
        kind, text = values.get("type", known.row.type), blob if blob is not None else known.blob
        if kind != known.row.type:
            raise errors.Invalid(reason="The type of a credential cannot be changed.")
        if kind == EC2:  # it keeps its id, but nobody else's access key becomes its own
            twin = self._id(EC2, text)
            if twin != credential_id and await self.list(id=twin):
                raise errors.Duplicate(kind="credential", details="Duplicate entry")
        if blob is not None:
            values |= {"sealed_blob": self._keys.seal(blob.encode())}
        async with self.database.transaction() as tx:
            await records.change(tx.connection, credentials, values, id=credential_id)
            return self._open(await must_get(tx.connection, credentials, errors.CredentialNotFound, credential_id))

    @retried
    async def delete(self, credential_id: str) -> None:
        async with self.database.transaction() as tx:
            if not await records.remove(tx.connection, credentials, id=credential_id):
                raise errors.CredentialNotFound(id=credential_id)

    async def create_ec2(self, user_id: str, project_id: str) -> Held:
        """A new pair of access key and secret for a user on a project."""
        access, secret = self.clock.hex_id(), self.clock.random_bytes(16).hex()
        keys = {"access": access, "secret": secret, "trust_id": None, "app_cred_id": None, "access_token_id": None}
        blob = msgspec.json.encode(keys).decode()
        return await self.create(kind=EC2, blob=blob, user_id=user_id, project_id=project_id)

    async def list_ec2(self, user_id: str) -> Sequence[Held]:
        async with self.database.reading() as connection:
            await must_get(connection, users, errors.UserNotFound, user_id)
        return await self.list(user_id=user_id, type=EC2)

    async def get_ec2(self, user_id: str, access: str) -> Held:
        """Raises CredentialNotFound, for another user's key too."""
        mine = await self.list(user_id=user_id, type=EC2)
        found = [held for held in mine if access_key(held.blob) == access]
        if not found:
            raise errors.CredentialNotFound(id=access)
        return found[0]

    def _open(self, row: Row) -> Held:
        blob = self._keys.open(row.sealed_blob)
        if blob is None:
            raise errors.CredentialNotFound(id=row.id)
        return Held(row, blob.decode())

    def _id(self, kind: str, blob: str) -> str:
        """An EC2 credential is found by its access key, any other by a random id."""
        if kind != EC2:
            return self.clock.hex_id()
        access = access_key(blob)
        if access is None:
            raise errors.Invalid(reason="Invalid blob in credential")
        return ec2_id(access)


def access_key(blob: str) -> str | None:
    """The access key in an EC2 credential's blob."""
    try:
        access = msgspec.json.decode(blob, type=dict[str, Any])["access"]
    except (msgspec.DecodeError, KeyError):
        return None
    return access if isinstance(access, str) else None


def ec2_id(access: str) -> str:
    return hashlib.sha256(access.encode(errors="surrogatepass")).hexdigest()
