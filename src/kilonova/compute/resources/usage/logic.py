"""Rules of usage reports: how long each server of a project ran, times what it held."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from kilonova.compute.errors import UnknownMarker
from kilonova.compute.models import Flavor
from kilonova.compute.resources.usage import errors
from kilonova.compute.store import servers as server_store
from kilonova.compute.store import usage as store
from kilonova.compute.store.usage import UsageRow
from kilonova.core.clock import Clock
from kilonova.core.db import Database


class Period(msgspec.Struct, frozen=True):
    start: dt.datetime
    end: dt.datetime


class ServerUse(msgspec.Struct, frozen=True):
    """`hours` within the period, `uptime` in seconds since the server was launched."""

    row: UsageRow
    hours: float
    uptime: int

    @property
    def disk_gb(self) -> int:
        flavor = msgspec.convert(self.row.flavor, Flavor)
        return flavor.root_gb + flavor.ephemeral_gb


class UsageLogic:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock

    async def of(
        self, start: dt.datetime | None, end: dt.datetime | None, *, project_id: str | None = None,
        limit: int | None = None, marker: str | None = None,
    ) -> tuple[Period, dict[str, Sequence[ServerUse]]]:  # fmt: skip
        """(the period, project → its servers), of one project or all of them. A missing time is the present."""
        moment = self.clock.row_time()
        period = Period(start or moment, end or moment)
        if period.start > period.end:
            raise errors.InvalidPeriod
        async with self.database.reading() as connection:
            if marker is not None and await server_store.get(connection, marker, deleted=True) is None:
                raise UnknownMarker(marker=marker)
            rows = await store.between(
                connection, period.start, period.end, project_id=project_id, limit=limit, marker=marker
            )
        found: dict[str, list[ServerUse]] = {}
        for row in rows:
            found.setdefault(row.project_id, []).append(_use(row, period, moment))
        return period, {project: found[project] for project in sorted(found)}


def _use(row: UsageRow, period: Period, moment: dt.datetime) -> ServerUse:
    ended = row.terminated_at
    begin, end = max(row.launched_at, period.start), min(ended or period.end, period.end)
    uptime = int(((ended or moment) - row.launched_at).total_seconds())
    return ServerUse(row, max((end - begin).total_seconds(), 0.0) / 3600, max(uptime, 0))
