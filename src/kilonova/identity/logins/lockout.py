"""Accounts that are locked for some time after wrong passwords. The count is in the database, so that all processes see it.

Names without a user are counted like users: neither answers nor the time they take show which names exist."""

from __future__ import annotations

import hashlib

from kilonova.core import log
from kilonova.core.clock import Clock
from kilonova.core.db import Connection, Database, retried
from kilonova.identity import timestamps
from kilonova.identity.options import IdentityOptions
from kilonova.identity.store.login_failures import login_failures
from kilonova.identity.store.tokens import LoginRow

IGNORED = "ignore_lockout_failure_attempts"
logger = log.get("identity")


class Lockout:
    def __init__(self, database: Database, clock: Clock, options: IdentityOptions) -> None:
        self.database, self.clock = database, clock
        self._most, self._life = options.lockout_failure_attempts, options.lockout_duration * timestamps.SECOND

    def holds(self, user: LoginRow) -> bool:
        """Whether a user, with the columns of store.tokens.login, is locked out now."""
        if not self._most or (user.user_options or {}).get(IGNORED):
            return False
        return bool((user.failures or 0) >= self._most and (user.failures_expire_at or 0) > timestamps.now(self.clock))

    @retried
    async def failed(self, subject: str) -> None:
        """Count a wrong password. A locked account does not stay locked for longer by it."""
        if not self._most:
            return
        async with self.database.transaction() as tx:
            known = await login_failures.get(tx.connection, lock=True, subject=subject)
            now = timestamps.now(self.clock)
            count = known.failures if known is not None and known.expires_at > now else 0
            if count >= self._most:
                return
            values = {"failures": count + 1, "expires_at": now + self._life}
            if known is None:
                await login_failures.add(tx.connection, values | {"subject": subject})
            else:
                await login_failures.change(tx.connection, values, subject=subject)
        if count + 1 == self._most:
            logger.warning(
                "wrong passwords reached the limit", subject=subject, seconds=self._life // timestamps.SECOND
            )

    @retried
    async def succeeded(self, user: LoginRow) -> None:
        """The right password ends the count."""
        if user.failures:
            async with self.database.transaction() as tx:
                await forget(tx.connection, user.user_id)


async def forget(connection: Connection, user_id: str) -> None:
    """What was counted of a user."""
    await login_failures.remove(connection, subject=user_id)


def subject_of(asked: str) -> str:
    """Under what a name, or an id, is counted that no user has."""
    return hashlib.sha256(asked.encode(errors="surrogatepass")).hexdigest()
