"""Retries with exponential backoff: the one place that decides how long to wait, when to give up, and what the log says.

    token = await retry(fetch, Backoff(0.2, 2.0), again=unreachable, within=60.0, log=logger, work="fetch a token")

Log events: `retrying` after a failed attempt (`attempt`, `retry_in` in seconds, `error`), `gave up` when the limit or the time is
exhausted (`attempts`, `error`), `recovered` when an attempt succeeded after a failed one (`attempts`). Each also carries the
fields that the caller gave: `work`, what is retried, and the ids of its objects.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from kilonova.core import errors
from kilonova.core.clock import SYSTEM, Clock

T = TypeVar("T")
FOREVER = float("inf")
Predicate = Callable[[Exception], bool]
Logger = structlog.typing.FilteringBoundLogger


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds: `first`, doubled after each failed attempt, at most `longest`. Each is shortened by a random share of
    it, up to `jitter` (0 to 1), so that callers that failed together do not retry together."""

    first: float = 0.2
    longest: float = 5.0
    jitter: float = 0.2

    def pause(self, attempt: int, clock: Clock = SYSTEM) -> float:
        """Seconds to wait after failed attempt number `attempt`, from 1 on."""
        full = min(self.first * 2.0 ** min(attempt - 1, 32), self.longest)
        return full - clock.spread(full * self.jitter) if self.jitter else full


def unreachable(error: Exception) -> bool:
    """The service did not answer: it may or may not have done the work."""
    return isinstance(error, errors.BusError | errors.ServiceUnavailable)


def unanswered(error: Exception) -> bool:
    """The service did not answer, or failed while it worked on the request."""
    return isinstance(error, errors.KilonovaError) and error.status >= 500


def always(_error: Exception) -> bool:
    """Any error may be temporary."""
    return True


class Attempts:
    """Counts the failed attempts of one piece of work and logs them; for loops that `retry` does not fit.

    It gives up after `limit` attempts, or when the next one would begin later than `within` seconds after the first of these that
    failed had ended: work that takes long has the same patience when it breaks off as work that fails at once.
    `log_every`: seconds between two `retrying` lines, 0 for one per attempt. `level` is that of `retrying`. `traceback`:
    for errors that are not expected, where the text alone does not show the cause.
    """

    def __init__(
        self,
        backoff: Backoff,
        *,
        log: Logger,
        clock: Clock = SYSTEM,
        limit: float = FOREVER,
        within: float = FOREVER,
        log_every: float = 0.0,
        level: str = "warning",
        traceback: bool = False,
        **fields: Any,
    ) -> None:
        self.failures = 0
        self._backoff, self._clock, self._limit = backoff, clock, limit
        self._within, self._until = within, FOREVER
        self._log, self._level, self._traceback, self._fields = log, level, traceback, fields
        self._log_every, self._logged_at = log_every, -FOREVER

    def failed(self, error: Exception) -> float:
        """Seconds to wait before the next attempt. Raises `error` when there is none."""
        self.failures += 1
        pause, now = self._backoff.pause(self.failures, self._clock), self._clock.monotonic()
        if self.failures == 1:
            self._until = now + self._within
        if self.failures >= self._limit or now + pause > self._until:
            self._log.warning("gave up", attempts=self.failures, **self._cause(error), **self._fields)
            raise error
        if now - self._logged_at >= self._log_every:
            self._logged_at = now
            write = getattr(self._log, self._level)
            write("retrying", attempt=self.failures, retry_in=round(pause, 3), **self._cause(error), **self._fields)
        return pause

    def succeeded(self, **fields: Any) -> None:
        """Log that the work recovered, if it had failed, and count from 0 again."""
        if self.failures:
            self._log.info("recovered", attempts=self.failures + 1, **self._fields, **fields)
        self.failures, self._logged_at = 0, -FOREVER

    def _cause(self, error: Exception) -> dict[str, Any]:
        words = error.message if isinstance(error, errors.KilonovaError) else str(error)
        cause: dict[str, Any] = {"error": words or type(error).__name__}
        return cause | {"exc_info": error} if self._traceback else cause


async def retry(
    call: Callable[[], Awaitable[T]],
    backoff: Backoff,
    /,
    *,
    again: Predicate = unreachable,
    log: Logger,
    clock: Clock = SYSTEM,
    **options: Any,
) -> T:
    """The result of `call`, which is called until it succeeds. It must bear repetition. An error for which `again` is false is
    raised at once, without a log line; the last one is raised when the attempts end. `options` are those of `Attempts`."""
    attempts = Attempts(backoff, log=log, clock=clock, **options)
    while True:
        try:
            result = await call()
        except Exception as error:
            if not again(error):
                raise
            pause = attempts.failed(error)
        else:
            attempts.succeeded()
            return result
        await clock.sleep(pause)
