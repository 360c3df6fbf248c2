"""What the logic of every resource is given, and what it shares."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from kilonova.core.clock import Clock
from kilonova.core.db import Connection, Database, DuplicateRow, Transaction, is_twin
from kilonova.core.errors import NotFound
from kilonova.identity import errors
from kilonova.identity.catalog_cache import CatalogCache
from kilonova.identity.keys import KeyRepository
from kilonova.identity.logins.lockout import Lockout
from kilonova.identity.logins.passwords import Passwords
from kilonova.identity.options import IdentityOptions
from kilonova.identity.store.records import R, Records
from kilonova.identity.tokens.lifecycle import TokenLogic
from kilonova.identity.tokens.revocation import Revocations


@dataclass(frozen=True)
class Deps:
    """What resources are made of. `credential_keys` encrypt credentials."""

    database: Database
    clock: Clock
    options: IdentityOptions
    tokens: TokenLogic
    revocations: Revocations
    passwords: Passwords
    lockout: Lockout
    catalog: CatalogCache
    credential_keys: KeyRepository


class Logic:
    def __init__(self, deps: Deps) -> None:
        self.database, self.clock, self.options = deps.database, deps.clock, deps.options
        self.revocations, self.passwords, self.catalog = deps.revocations, deps.passwords, deps.catalog

    @asynccontextmanager
    async def storing(self, kind: str, details: str) -> AsyncIterator[Transaction]:
        """A transaction in which a row that exists already is a Duplicate with these details."""
        try:
            async with self.database.transaction() as tx:
                yield tx
        except DuplicateRow as error:
            if not is_twin(error):
                raise  # what it refers to was just deleted: the retry raises the right error
            raise errors.Duplicate(kind=kind, details=details) from None


async def must_get(
    connection: Connection,
    table: Records[R],
    missing: type[NotFound],
    record_id: str,
    *,
    lock: bool = False,
    **where: Any,
) -> R:
    """The row with this id; raises `missing`. `lock` it where what is written depends on what is read."""
    row = await table.get(connection, lock=lock, id=record_id, **where)
    if row is None:
        raise missing(id=record_id)
    return row
