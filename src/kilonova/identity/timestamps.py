"""Moments as whole microseconds since 1970 UTC, as tokens and tables hold them."""

from __future__ import annotations

import datetime as dt

from kilonova.core.clock import Clock, iso_micro, parse_iso

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
SECOND = 1_000_000


def micros(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1)


def now(clock: Clock) -> int:
    return micros(clock.now())


def text(moment: int) -> str:
    """`2026-01-31T12:00:00.000000Z`"""
    return iso_micro(EPOCH + dt.timedelta(microseconds=moment))


def parse(written: str) -> int:
    """Raises ValueError."""
    return micros(parse_iso(written))
