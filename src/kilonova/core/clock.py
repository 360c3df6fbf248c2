"""Time, randomness and ids: the one place they come from (a lint rule holds all others to it). What needs one of them is given a
`Clock`, so that a test can drive it; `SYSTEM` serves where nothing can be handed in."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import secrets
import time
import uuid

Dice = random.Random
"""A source of random choices that are no secrets."""


class Clock:
    """The real clock. Wall time is aware UTC; monotonic time is in seconds."""

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def row_time(self) -> dt.datetime:
        """`now` as rows hold it: naive UTC."""
        return self.now().replace(tzinfo=None)

    def monotonic(self) -> float:
        return time.monotonic()

    def epoch(self) -> float:
        """Wall time in seconds since 1970."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def uuid(self) -> str:
        """A random uuid with dashes, as servers, ports and images carry."""
        return str(uuid.uuid4())

    def hex_id(self) -> str:
        """32 hex digits without dashes, as users and projects carry."""
        return uuid.uuid4().hex

    def random_bytes(self, n: int) -> bytes:
        return secrets.token_bytes(n)

    def dice(self) -> Dice:
        return Dice(self.random_bytes(8))

    def spread(self, longest: float) -> float:
        """A pause between 0 and `longest` seconds, so that those which met do not meet again."""
        return random.uniform(0, longest)  # noqa: S311 - no secret

    def secret(self, n: int = 24) -> str:
        """A URL-safe secret made of `n` random bytes."""
        return secrets.token_urlsafe(n)


SYSTEM = Clock()


def naive(moment: dt.datetime) -> dt.datetime:
    """Naive UTC, as rows hold it; of what is naive already, itself."""
    return moment.astimezone(dt.UTC).replace(tzinfo=None) if moment.tzinfo else moment


def iso(moment: dt.datetime) -> str:
    """`2026-01-31T12:00:00Z`, the form of compute, image and network."""
    return naive(moment).isoformat(timespec="seconds") + "Z"


def iso_micro(moment: dt.datetime) -> str:
    """`2026-01-31T12:00:00.000000Z`, the form of identity's tokens."""
    return naive(moment).isoformat(timespec="microseconds") + "Z"


def iso_bare(moment: dt.datetime) -> str:
    """`2026-01-31T12:00:00.000000`, the form of older compute fields such as `OS-SRV-USG:launched_at`."""
    return naive(moment).isoformat(timespec="microseconds")


def parse_iso(text: str) -> dt.datetime:
    """An aware UTC moment from any ISO 8601 text; raises ValueError."""
    moment = dt.datetime.fromisoformat(text.strip())
    try:
        return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
    except OverflowError:  # its offset leads out of the years 1 to 9999
        raise ValueError(text) from None
