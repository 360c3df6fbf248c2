"""Asking services that may be away for a moment: their restart costs a launch time, not its life."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from kilonova.core import errors, log
from kilonova.core.clock import Clock

T = TypeVar("T")
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0  # seconds between tries
logger = log.get("agent")


def nobody_there(error: errors.KilonovaError) -> bool:
    """No answer: the work may or may not have been done."""
    return isinstance(error, errors.BusError | errors.ServiceUnavailable)


def no_word(error: errors.KilonovaError) -> bool:
    """Nobody there, or he stumbled."""
    return error.status >= 500


async def patiently(
    clock: Clock,
    ask: Callable[[], Awaitable[T]],
    *,
    again: Callable[[errors.KilonovaError], bool] = nobody_there,
    within: float = float("inf"),
) -> T:
    """The answer to what bears repetition, asked for again and again while the error is one of `again`; after `within` seconds
    the last one is raised."""
    until, pause = clock.monotonic() + within, FIRST_PAUSE
    while True:
        try:
            return await ask()
        except errors.KilonovaError as error:
            if not again(error) or clock.monotonic() + pause > until:
                raise
            logger.warning("asked again", again_in=pause, error=error.message)
        await clock.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)
