"""A piece of work repeated until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kilonova.core import log
from kilonova.core.clock import Clock

logger = log.get("periodic")


class Repeated:
    """`work` every `interval` seconds; an error is logged and the next turn comes."""

    def __init__(self, name: str, clock: Clock, interval: float, work: Callable[[], Awaitable[object]]) -> None:
        self.name, self.clock, self.interval, self.work = name, clock, interval, work
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        while True:
            await self.clock.sleep(self.interval)
            try:
                await self.work()
            except Exception as error:
                logger.warning("retrying", work=self.name, exc_info=error)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
