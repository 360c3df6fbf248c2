"""The history of deleted servers, and its end: used by the conductor and by `kilonova db purge`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from kilonova.compute.store.history import forget
from kilonova.core.db import Database, retried

AT_ONCE = 200  # servers in one transaction, which others wait for on SQLite


async def purge(database: Database, before: dt.datetime, progress: Callable[[int], object] = lambda _: None) -> int:
    """Forget servers that were deleted before then (a time as rows hold it); how many they were. `progress` is called with the
    number so far after each transaction."""
    total = 0
    while found := await _some(database, before):
        total += found
        progress(total)
    return total


@retried
async def _some(database: Database, before: dt.datetime) -> int:
    async with database.transaction() as tx:
        return await forget(tx.connection, before, limit=AT_ONCE)
