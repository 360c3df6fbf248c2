"""Doing a piece of work again that was undone because another one was in the way: the one place that does so."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from kilonova.core import log
from kilonova.core.clock import SYSTEM
from kilonova.core.db.failures import Collision, DuplicateRow

P = ParamSpec("P")
T = TypeVar("T")
PAUSES = (0.01, 0.03, 0.1, 0.3, 1.0)  # seconds at most, before each further attempt
logger = log.get("database")


def retried(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a function with one transaction that does nothing before it that can't be done twice. Done again

    - after a deadlock, a serialisation failure or a lock time-out, and
    - when a unique or foreign key refuses what was true when it was read: the next attempt sees what somebody faster did
      and says so in its own words.

    The last attempt's error is the caller's.
    """

    @functools.wraps(work)
    async def again(*args: P.args, **kwargs: P.kwargs) -> T:
        for pause in PAUSES:
            try:
                return await work(*args, **kwargs)
            except (Collision, DuplicateRow) as error:
                logger.info("once more", work=work.__qualname__, why=type(error).__name__)
            await asyncio.sleep(SYSTEM.spread(pause))
        return await work(*args, **kwargs)

    return again
