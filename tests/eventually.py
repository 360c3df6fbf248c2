"""Waiting for what another task, thread or process does: until it is so, and not for a number of looks. A limit is there for what
never happens, so it is far above what the slowest machine needs.

`what` says what is missing; a function is asked when time is up. `satisfies` is the condition: by default that what was seen is
true. Raises NotInTime after `within` seconds.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")
What = str | Callable[[], str]
PATIENCE = 120.0
"""Seconds."""


class NotInTime(AssertionError):
    """What was waited for did not happen."""


async def until(
    look: Callable[[], T | Awaitable[T]], what: What = "", within: float = PATIENCE, pause: float = 0.005,
    satisfies: Callable[[T], Any] = bool,
) -> T:  # fmt: skip
    """What `look` gives (awaited if need be), once it satisfies."""
    end = time.monotonic() + within
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if satisfies(found):
            return found
        if time.monotonic() > end:
            raise _late(what, within, found)
        await asyncio.sleep(pause)


def eventually(
    look: Callable[[], T | bool | None], what: What = "", within: float = PATIENCE, pause: float = 0.05,
    excused: type[Exception] | tuple[type[Exception], ...] = (), satisfies: Callable[[Any], Any] = bool,
) -> T:  # fmt: skip
    """As `until`, for tests without an event loop. Errors in `excused` count as not yet."""
    end = time.monotonic() + within
    while True:
        found: object = None
        try:
            if satisfies(found := look()):
                return found  # type: ignore[return-value]
        except excused as error:
            found = error
        if time.monotonic() > end:
            raise _late(what, within, found)
        time.sleep(pause)


def _late(what: What, within: float, found: object) -> NotInTime:
    said = what() if callable(what) else what
    return NotInTime(f"{said or 'it did not happen'}: not within {within:g} s, last seen {found!r}")
