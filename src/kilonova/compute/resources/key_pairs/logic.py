"""Rules of key pairs. They belong to users, not to projects."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from kilonova.compute.errors import UnknownMarker
from kilonova.compute.options import ComputeOptions
from kilonova.compute.resources.key_pairs import errors, keys
from kilonova.compute.resources.quotas.counting import limits_of
from kilonova.compute.store import key_pairs as store
from kilonova.compute.store import locks
from kilonova.compute.store.key_pairs import KeyPairRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, retried

OLD_NAMES, NEW_NAMES = re.compile(r"[_\- a-zA-Z0-9]+"), re.compile(r"[_\-@. a-zA-Z0-9]+")


class KeyPairLogic:
    def __init__(self, database: Database, clock: Clock, options: ComputeOptions) -> None:
        self.database, self.clock, self.options = database, clock, options

    async def list(self, user_id: str, *, limit: int, marker: str | None) -> Sequence[KeyPairRow]:
        async with self.database.reading() as connection:
            if marker is not None and await store.get(connection, user_id, marker) is None:
                raise UnknownMarker(marker=marker)
            return await store.page(connection, user_id, limit=limit, marker=marker)

    async def get(self, user_id: str, name: str) -> KeyPairRow:
        async with self.database.reading() as connection:
            row = await store.get(connection, user_id, name)
        if row is None:
            raise errors.KeyPairNotFound(name=name, user_id=user_id)
        return row

    @retried
    async def create(
        self, ctx: RequestContext, user_id: str, name: str, kind: str, public_key: str | None, *, wide_names: bool
    ) -> tuple[KeyPairRow, str | None]:
        """(row, private key when it was made here)."""
        if not (NEW_NAMES if wide_names else OLD_NAMES).fullmatch(name):
            allowed = "letters, digits, spaces and any of _ - @ ." if wide_names else "letters, digits, spaces, _ and -"
            raise errors.InvalidKeyPair(reason=f"Keypair name contains unsafe characters; allowed are {allowed}")
        private = None
        if public_key is None:
            private, public = await asyncio.to_thread(keys.generate, kind, user_id, self.clock.now())
        else:
            public = public_key
        print_ = keys.fingerprint(kind, public)
        async with self.database.transaction() as tx:
            await locks.of_user(tx.connection, user_id)
            limits = await limits_of(tx.connection, self.options.quotas, ctx.project_id or "", user_id)
            if await store.get(tx.connection, user_id, name) is not None:
                raise errors.KeyPairExists(name=name)
            limit, used = limits["key_pairs"], await store.count(tx.connection, user_id)
            if 0 <= limit <= used:
                raise errors.KeyPairQuota(resource="key_pairs", requested=1, used=used, limit=limit)
            row = {
                "user_id": user_id, "name": name, "type": kind, "fingerprint": print_, "public_key": public,
                "created_at": self.clock.row_time(),
            }  # fmt: skip
            await store.add(tx.connection, row)
            made = await store.get(tx.connection, user_id, name)
        assert made is not None  # noqa: S101 - just written
        return made, private

    @retried
    async def delete(self, user_id: str, name: str) -> None:
        async with self.database.transaction() as tx:
            if not await store.remove(tx.connection, user_id, name):
                raise errors.KeyPairNotFound(name=name, user_id=user_id)
