"""How a process is asked to end: the first signal asks for a clean end, the next one ends it at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

from kilonova.core import log

OUTSIDE = {signal.SIGTERM: "from outside", signal.SIGINT: "from outside"}
logger = log.get("serve")


class Ending:
    """`asked` is set by the first signal. `name` is the process's, for the log."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = asyncio.Event()
        self._asked = Counter[str]()

    def listen(self, signals: Mapping[signal.Signals, str] = OUTSIDE) -> None:
        """Signal → from where it comes: what is told along two ways has been asked once."""
        loop = asyncio.get_running_loop()
        for number, origin in signals.items():
            loop.add_signal_handler(number, self._ask, origin)

    def _ask(self, origin: str) -> None:
        self._asked[origin] += 1
        if self._asked[origin] > 1:
            logger.warning("asked twice: ending at once", component=self.name)
            os._exit(128 + signal.SIGTERM)
        if not self.asked.is_set():
            logger.info("draining", component=self.name, pid=os.getpid())
            self.asked.set()

    async def unless_asked(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work and return True, or cancel it and return False when the process is asked to end meanwhile."""
        working, asked = asyncio.ensure_future(work), asyncio.ensure_future(self.asked.wait())
        try:
            await asyncio.wait([working, asked], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                await working
                return True
            return False
        finally:
            asked.cancel()
            if not working.done():
                working.cancel()
                await asyncio.wait([working])
