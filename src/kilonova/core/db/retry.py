"""Retries of transactions that were rolled back because of a concurrent one: the one place that does so."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, ParamSpec, TypeVar

from kilonova.core import log
from kilonova.core.db.failures import Collision, DuplicateRow
from kilonova.core.retry import Backoff, retry

P = ParamSpec("P")
T = TypeVar("T")
BACKOFF = Backoff(0.02, 1.0, jitter=1.0)
ATTEMPTS = 6
logger = log.get("database")


def retried(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a function with one transaction and no side effect before it that must not be repeated. It is retried

    - after a deadlock, a serialisation failure or a lock time-out, and
    - when a unique or foreign key refuses what was true when it was read: the next attempt reads what the concurrent
      transaction wrote, and raises the error that fits it.

    The error of the last attempt is raised to the caller.
    """

    @functools.wraps(work)
    async def again(*args: P.args, **kwargs: P.kwargs) -> T:
        return await retry(
            partial(work, *args, **kwargs), BACKOFF, again=_conflict, limit=ATTEMPTS, log=logger, level="info",
            work=work.__qualname__,
        )  # fmt: skip

    return again


def _conflict(error: Exception) -> bool:
    return isinstance(error, Collision | DuplicateRow)
