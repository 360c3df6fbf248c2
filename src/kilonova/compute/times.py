"""Rows hold naive UTC; the rest of the program aware times."""

from __future__ import annotations

import datetime as dt

from kilonova.core.clock import Clock


def now(clock: Clock) -> dt.datetime:
    """The clock's time as rows hold it."""
    return clock.row_time()


def naive(moment: dt.datetime) -> dt.datetime:
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def shown(moment: dt.datetime | None) -> str | None:
    """`2026-01-31T12:00:00Z`."""
    return None if moment is None else moment.isoformat(timespec="seconds") + "Z"


def shown_bare(moment: dt.datetime | None) -> str | None:
    """`2026-01-31T12:00:00.000000`, the form of the fields that never learned of zones."""
    return None if moment is None else moment.isoformat(timespec="microseconds")
