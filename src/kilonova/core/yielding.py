"""Long loops on the event loop that let other requests run in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

T = TypeVar("T")
EVERY = 20  # items; one takes a fraction of a millisecond


async def yielding(items: Iterable[T], every: int = EVERY) -> AsyncIterator[T]:
    """The items; the event loop's other tasks run after each `every` of them."""
    for number, item in enumerate(items, 1):
        yield item
        if number % every == 0:
            await asyncio.sleep(0)
