"""Rules of credentials: EC2 keys and others, whose contents are encrypted in the database.

An application credential makes credentials for its own project alone, sees those that it made and no others, and they end with
it. So `maker` in what follows is the caller's token."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.core import log
from kilonova.core.db import Connection, retried
from kilonova.identity import errors
from kilonova.identity.resources.base import Deps, Logic, must_get
from kilonova.identity.store import assignments as assignment_store
from kilonova.identity.store import credentials as store
from kilonova.identity.store.credentials import CredentialRow, credentials
from kilonova.identity.store.projects import projects
from kilonova.identity.store.users import users
from kilonova.identity.tokens.lifecycle import Token

EC2 = "ec2"
BOUND = "app_cred_id"
LIMITS = ("trust_id", BOUND, "access_token_id")  # what an EC2 key's blob says of the rights that it gives
logger = log.get("identity")


class Held(msgspec.Struct, frozen=True):
    """A credential's row and its opened blob."""

    row: CredentialRow
    blob: str


class CredentialLogic(Logic):
    def __init__(self, deps: Deps) -> None:
        super().__init__(deps)
        self._keys = deps.credential_keys

    async def list(
        self, maker: Token, *, marker: str | None = None, limit: int | None = None, **filters: Any
    ) -> Sequence[Held]:
        """In order of their ids, at most `limit`."""
        async with self.database.reading() as connection:
            rows = await store.page(connection, _seen(maker) | filters, marker=marker, limit=limit)
        return await asyncio.to_thread(self._open_all, rows)

    async def get(self, maker: Token, credential_id: str) -> Held:
        async with self.database.reading() as connection:
            missing = errors.CredentialNotFound
            return self._open(await must_get(connection, credentials, missing, credential_id, **_seen(maker)))

    @retried
    async def create(
        self, maker: Token, *, kind: str, blob: str, user_id: str, project_id: str | None, any_project: bool = False
    ) -> Held:
        """On a project where the user has a role, or on `any_project`."""
        if kind == EC2 and project_id is None:
            raise errors.Missing(attribute="project_id", target="credential")
        blob = self._checked(blob, kind)
        if kind == EC2:
            blob = _bound(blob, maker.payload.credential_id)
        row: dict[str, Any] = {
            "id": self._id(kind, blob),
            "type": kind,
            "user_id": user_id,
            "project_id": project_id,
            "sealed_blob": self._keys.seal(blob.encode()),
            "application_credential_id": maker.payload.credential_id,
        }
        async with self.storing("credential", "Duplicate entry") as tx:
            await must_get(tx.connection, users, errors.UserNotFound, user_id, lock=True)  # one counts at a time
            await self._check_project(tx.connection, maker, user_id, project_id, any_project=any_project)
            held = await credentials.count(tx.connection, user_id=user_id)
            if 0 <= self.options.max_credentials <= held:
                raise errors.CredentialLimit(limit=self.options.max_credentials)
            await credentials.add(tx.connection, row)
            made = await must_get(tx.connection, credentials, errors.CredentialNotFound, row["id"])
        return self._open(made)

    @retried
    async def update(
        self, maker: Token, credential_id: str, values: dict[str, Any], blob: str | None, *, any_project: bool = False
    ) -> Held:
        known = await self.get(maker, credential_id)
        text = known.blob if blob is None else self._checked(blob, known.row.type)
        if values.get("type", known.row.type) != known.row.type:
            raise errors.Invalid(reason="The type of a credential cannot be changed.")
        if known.row.type == EC2:
            await self._check_key(known, text)
            if "project_id" in values and values["project_id"] is None:
                raise errors.Missing(attribute="project_id", target="credential")
        if blob is not None:
            values |= {"sealed_blob": self._keys.seal(blob.encode())}
        async with self.database.transaction() as tx:
            if values.get("project_id", known.row.project_id) != known.row.project_id:
                await self._check_project(
                    tx.connection, maker, known.row.user_id, values["project_id"], any_project=any_project
                )
            await credentials.change(tx.connection, values, id=credential_id)
            return self._open(await must_get(tx.connection, credentials, errors.CredentialNotFound, credential_id))

    def _checked(self, blob: str, kind: str) -> str:
        if len(blob.encode(errors="surrogatepass")) > self.options.max_credential_blob:
            raise errors.Invalid(
                reason=f"The blob of a credential has at most {self.options.max_credential_blob} bytes."
            )
        if kind == EC2 and access_key(blob) is None:
            raise errors.Invalid(reason="Invalid blob in credential: it must be a JSON object with 'access', a string")
        return blob

    async def _check_key(self, known: Held, blob: str) -> None:
        """A changed key keeps its id, but does not become another one's access key, nor one of other rights."""
        old, new = _keys_of(known.blob), _keys_of(blob)
        for name in LIMITS:
            if old.get(name) != new.get(name):
                raise errors.Invalid(reason=f"{name} can not be updated for credential")
        twin = ec2_id(new["access"])
        if twin == known.row.id:
            return
        async with self.database.reading() as connection:
            if await credentials.get(connection, id=twin) is not None:
                raise errors.Duplicate(kind="credential", details="Duplicate entry")

    async def _check_project(
        self, connection: Connection, maker: Token, user_id: str, project_id: str | None, *, any_project: bool
    ) -> None:
        if project_id is not None:
            await must_get(connection, projects, errors.ProjectNotFound, project_id)
        if maker.payload.credential_id is not None and project_id not in (None, maker.payload.scope_id):
            raise errors.NotAllowed(action="make a credential for another project than the application credential's")
        if project_id is None or any_project:
            return
        if not await assignment_store.effective(connection, user_id, "project", project_id):
            raise errors.NotAllowed(action=f"make a credential for project {project_id}, where the user has no role")

    @retried
    async def delete(self, credential_id: str) -> None:
        async with self.database.transaction() as tx:
            if not await credentials.remove(tx.connection, id=credential_id):
                raise errors.CredentialNotFound(id=credential_id)

    async def create_ec2(self, maker: Token, user_id: str, project_id: str, *, any_project: bool = False) -> Held:
        """A new pair of access key and secret for a user on a project."""
        keys = {"access": self.clock.hex_id(), "secret": self.clock.random_bytes(16).hex()} | dict.fromkeys(LIMITS)
        blob = msgspec.json.encode(keys).decode()
        return await self.create(
            maker, kind=EC2, blob=blob, user_id=user_id, project_id=project_id, any_project=any_project
        )

    async def list_ec2(self, maker: Token, user_id: str) -> Sequence[Held]:
        async with self.database.reading() as connection:
            await must_get(connection, users, errors.UserNotFound, user_id)
        return await self.list(maker, user_id=user_id, type=EC2)

    async def get_ec2(self, maker: Token, user_id: str, access: str) -> Held:
        """Raises CredentialNotFound, for another user's key too."""
        mine = await self.list(maker, user_id=user_id, type=EC2)
        found = [held for held in mine if access_key(held.blob) == access]
        if not found:
            raise errors.CredentialNotFound(id=access)
        return found[0]

    def _open_all(self, rows: Sequence[CredentialRow]) -> Sequence[Held]:
        """Those that can be opened: one whose key is lost hides no other."""
        found = []
        for row in rows:
            try:
                found.append(self._open(row))
            except errors.CredentialNotFound:
                logger.warning("credential not decrypted: no key fits", id=row.id)
        return found

    def _open(self, row: CredentialRow) -> Held:
        blob = self._keys.open(row.sealed_blob)
        if blob is None:
            raise errors.CredentialNotFound(id=row.id)
        return Held(row, blob.decode())

    def _id(self, kind: str, blob: str) -> str:
        """An EC2 credential is found by its access key, any other by a random id."""
        return ec2_id(_keys_of(blob)["access"]) if kind == EC2 else self.clock.hex_id()


def _seen(maker: Token) -> dict[str, Any]:
    """The columns of what a token's owner may see of a user's credentials."""
    made_by = maker.payload.credential_id
    return {} if made_by is None else {"application_credential_id": made_by}


def _keys_of(blob: str) -> dict[str, Any]:
    return msgspec.json.decode(blob, type=dict[str, Any])


def _bound(blob: str, credential_id: str | None) -> str:
    """An EC2 key's blob with the application credential whose rights the key has; a client can't name another one."""
    keys = _keys_of(blob)
    right: dict[str, Any] = {BOUND: credential_id}
    for name in LIMITS:
        if keys.get(name) not in (None, right.get(name)):
            raise errors.Invalid(reason=f"{name} can not be set for credential")
    return blob if credential_id is None else msgspec.json.encode(keys | right).decode()


def access_key(blob: str) -> str | None:
    """The access key in an EC2 credential's blob."""
    try:
        access = msgspec.json.decode(blob, type=dict[str, Any])["access"]
    except (msgspec.DecodeError, KeyError):
        return None
    return access if isinstance(access, str) else None


def ec2_id(access: str) -> str:
    return hashlib.sha256(access.encode(errors="surrogatepass")).hexdigest()
