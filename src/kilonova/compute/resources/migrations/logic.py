"""Reading migrations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from kilonova.compute import errors
from kilonova.compute.store import migrations as store
from kilonova.core.db import Database, Row


class MigrationLogic:
    def __init__(self, database: Database) -> None:
        self.database = database

    async def list(
        self, filters: dict[str, str], *, host: str | None, since: dt.datetime | None, before: dt.datetime | None,
        marker: str | None, limit: int,
    ) -> Sequence[Row]:  # fmt: skip
        """The newest first. Raises UnknownMarker."""
        async with self.database.reading() as connection:
            after = await store.get(connection, marker) if marker is not None else None
            if marker is not None and after is None:
                raise errors.UnknownMarker(marker=marker)
            return await store.page(
                connection, filters, host=host, since=since, before=before, after=after, limit=limit
            )
