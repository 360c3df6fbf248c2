"""Removal of expired rows: tokens of the uuid provider, revocations, their events, wrong passwords. Used by the
identity service and by `kilonova token-flush`; several may do it at once."""

from __future__ import annotations

from collections.abc import Callable

from kilonova.core.clock import Clock
from kilonova.core.db import Database, retried
from kilonova.identity import timestamps
from kilonova.identity.store.expiry import Table, forget
from kilonova.identity.tables import login_failures, revocation_events, revocations, tokens

TABLES = (tokens, revocations, revocation_events, login_failures)
AT_ONCE = 500  # rows in one transaction, which other writers wait for on SQLite
LEAST_PAUSE = 0.005  # seconds between two transactions

Removed = dict[str, int]
"""Table → how many of its rows were removed."""


async def flush(database: Database, clock: Clock, progress: Callable[[Removed], object] = lambda _: None) -> Removed:
    """Remove what has expired before now. `progress` is called with what was removed so far, after each transaction. The
    pause between two of them is as long as the last one took, so that others can use the database."""
    removed, now = {table.name: 0 for table in TABLES}, timestamps.now(clock)
    for table in TABLES:
        while True:
            began = clock.monotonic()
            found = await _some(database, table, now)
            removed[table.name] += found
            progress(removed)
            if found < AT_ONCE:
                break  # that was all, or another process is at it
            await clock.sleep(max(clock.monotonic() - began, LEAST_PAUSE))
    return removed


@retried
async def _some(database: Database, table: Table, now: int) -> int:
    async with database.transaction() as tx:
        return await forget(tx.connection, table, now, AT_ONCE)
