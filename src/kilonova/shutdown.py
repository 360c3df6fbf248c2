"""The shutdown of a process: the first signal drains it, the next one stops it at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from kilonova.core import log

OUTSIDE = frozenset({signal.SIGTERM, signal.SIGINT})
"""From an operator, a service manager, a terminal: each goes to one process or to a whole process group."""
DRAIN = signal.SIGUSR1
"""From a supervisor to its worker, for which it means what those mean."""
logger = log.get("serve")


class Shutdown:
    """`asked` is set by the first signal. `name` is the process's, for the log. A `supervised` worker does not count: one request
    to its process group reaches it directly and by its supervisor, which decides what a second one means."""

    def __init__(self, name: str, *, supervised: bool = False) -> None:
        self.name, self.supervised = name, supervised
        self.asked = asyncio.Event()

    def listen(self) -> None:
        on_signal({*OUTSIDE, DRAIN} if self.supervised else OUTSIDE, self._ask)

    def _ask(self) -> None:
        if not self.asked.is_set():
            logger.info("draining", component=self.name, pid=os.getpid())
            self.asked.set()
        elif not self.supervised:
            logger.warning("second stop request: stopping at once", component=self.name)
            os._exit(128 + signal.SIGTERM)

    def done(self) -> None:
        """Called at the very end: the last line of the process's log."""
        logger.info("stopped", component=self.name, pid=os.getpid())

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


def on_signal(numbers: Iterable[signal.Signals], received: Callable[[], None]) -> None:
    """`received()` on the running loop, at most once for each signal that was sent.

    Not by the loop's own `add_signal_handler`: uvloop's notes a signal both in its pipe and in a set, and when a second signal
    comes between the reading of the two, calls for one of them twice. Those that were blocked until now are received too."""
    loop = asyncio.get_running_loop()

    def handle(*_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the process is about to
            loop.call_soon_threadsafe(received)

    numbers = frozenset(numbers)
    for number in numbers:
        signal.signal(number, handle)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
