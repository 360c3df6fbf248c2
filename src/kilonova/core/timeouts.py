"""Time limits that do not count pauses of this process itself."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """What the work gives, or TimeoutError, and then it is cancelled. It is looked at twice: where our own loop was held up, what
    came meanwhile is read between the two looks, as a loop's timers come before what it has to read."""
    task = asyncio.ensure_future(work)
    try:
        for _ in range(2):
            await asyncio.wait([task], timeout=seconds / 2)
        if not task.done():
            raise TimeoutError
        return task.result()
    finally:
        task.cancel()
