"""Logins by a request that was signed with an EC2 credential's secret, for the service that received the request."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import msgspec

from kilonova.identity import errors, timestamps
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.credentials.logic import BOUND, EC2, ec2_id
from kilonova.identity.signatures import Signed, SignedText, is_right, is_timely, s3_is_right, s3_is_timely
from kilonova.identity.store.credentials import credentials
from kilonova.identity.tokens.lifecycle import Scope, Token
from kilonova.identity.tokens.providers import DELEGATED


class Ec2TokenLogic:
    def __init__(self, deps: Deps) -> None:
        self.database, self.clock, self.tokens, self._keys = (
            deps.database, deps.clock, deps.tokens, deps.credential_keys,
        )  # fmt: skip

    async def ec2(self, signed: Signed, *, catalog: bool) -> tuple[str, Token]:
        return await self._login(
            signed.access, lambda secret, now: is_right(signed, secret) and is_timely(signed, now), catalog=catalog
        )

    async def s3(self, signed: SignedText, *, catalog: bool) -> tuple[str, Token]:
        return await self._login(
            signed.access,
            lambda secret, now: s3_is_right(signed, secret) and s3_is_timely(signed, now),
            catalog=catalog,
        )

    async def _login(
        self, access: str, proves: Callable[[str, dt.datetime], bool], *, catalog: bool
    ) -> tuple[str, Token]:
        """A token for the credential's user on its project. Raises NotAuthenticated, whatever the reason."""
        began = timestamps.now(self.clock)
        async with self.database.reading() as connection:
            row = await credentials.get(connection, id=ec2_id(access), type=EC2)
        blob = self._keys.open(row.sealed_blob) if row is not None else None
        keys: dict[str, Any] = msgspec.json.decode(blob) if blob is not None else {}
        secret = keys.get("secret")
        right = proves(secret if isinstance(secret, str) else "", self.clock.now())
        if row is None or not isinstance(secret, str) or not secret or not right:
            raise errors.NotAuthenticated
        scope = Scope("project", row.project_id)
        return await self.tokens.issue(
            row.user_id, (DELEGATED,), scope, began=began, credential_id=keys.get(BOUND), catalog=catalog
        )
