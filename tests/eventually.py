"""Waiting for what another task, thread or process does: until it is so, and not for a number of looks. A limit is there for what
never happens, so it is far above what the slowest machine needs."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 120.0
"""Seconds."""


class NotInTime(AssertionError):
    """What was waited for did not happen."""


async def until(
    look: Callable[[], T | Awaitable[T]], what: str = "", within: float = PATIENCE, pause: float = 0.005
) -> T:
    """What `look` gives (awaited if need be), once it is true. Raises NotInTime after `within` seconds."""
    end = time.monotonic() + within
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > end:
            raise NotInTime(f"{what or 'it did not happen'}: not within {within:g} s, last seen {found!r}")
        await asyncio.sleep(pause)


def eventually(
    look: Callable[[], T | bool | None], what: str = "", within: float = PATIENCE, pause: float = 0.05,
    excused: type[Exception] | tuple[type[Exception], ...] = (),
) -> T:  # fmt: skip
    """As `until`, for tests without an event loop. Errors in `excused` count as not yet."""
    end = time.monotonic() + within
    while True:
        found: object = None
        try:
            if found := look():
                return found  # type: ignore[return-value]
        except excused as error:
            found = error
        if time.monotonic() > end:
            raise NotInTime(f"{what or 'it did not happen'}: not within {within:g} s, last seen {found!r}")
        time.sleep(pause)
