"""Publishes notifications without delaying their caller: they wait in a bounded queue, from which one task publishes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from kilonova.core import errors, log
from kilonova.core.notify.envelope import Notification
from kilonova.core.notify.options import NotificationOptions
from kilonova.core.notify.publishers import LogPublisher, Publisher
from kilonova.core.retry import Attempts, Backoff, retry

logger = log.get("notify")
BACKOFF = Backoff(0.5, 5.0)
MAKE_ATTEMPTS = 3
LOG_EVERY = 60.0  # seconds between log lines while the broker is unreachable
CLOSE_TIMEOUT = 3.0
Make = Callable[[], Awaitable[Sequence[Notification]]]
Observer = Callable[[Notification], None]


class Notifier:
    """`formats` are those that are wanted; nothing is to be sent without one. While the broker is unreachable up to `backlog`
    things wait for it; what comes then is dropped, and counted in `dropped`. What was sent may come twice."""

    def __init__(self, options: NotificationOptions | None = None, publisher: Publisher | None = None) -> None:
        self.options = options or NotificationOptions()
        self.formats = self.options.formats
        self.dropped = 0
        self._publisher = publisher or LogPublisher()
        self._waiting: asyncio.Queue[Make] = asyncio.Queue(self.options.backlog)
        self._worker: asyncio.Task[None] | None = None
        self._observers: list[Observer] = []

    def observe(self, observer: Observer) -> None:
        """Call it with everything that was published."""
        self._observers.append(observer)

    def send(self, make: Make) -> None:
        """Publish what `make` gives, in the order of the calls, later."""
        if self._worker is None:
            self._worker = asyncio.ensure_future(self._work())
        try:
            self._waiting.put_nowait(make)
        except asyncio.QueueFull:
            if not self.dropped:
                logger.error("dropping notifications: the backlog is full", backlog=self.options.backlog)
            self.dropped += 1

    async def close(self) -> None:
        """Send what still waits, within `CLOSE_TIMEOUT`."""
        if self._worker is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._waiting.join()
            self._worker.cancel()
            await asyncio.wait([self._worker])
            self._worker = None
        await self._publisher.close()

    async def _work(self) -> None:
        while True:
            make = await self._waiting.get()
            try:
                for notification in await self._made(make):
                    await self._publish(notification)
            except Exception as error:
                logger.error("notification lost", exc_info=error)
            finally:
                self._waiting.task_done()

    async def _made(self, make: Make) -> Sequence[Notification]:
        return await retry(make, BACKOFF, again=_expected, limit=MAKE_ATTEMPTS, log=logger, work="build a notification")

    async def _publish(self, notification: Notification) -> None:
        attempts = Attempts(BACKOFF, log=logger, log_every=LOG_EVERY, work="publish notifications")
        while True:
            try:
                await self._publisher.publish(notification)
                break
            except errors.BusError as error:
                pause = attempts.failed(error)
            await asyncio.sleep(pause)
        if attempts.failures:
            attempts.succeeded(dropped=self.dropped)
            self.dropped = 0
        for observer in self._observers:
            observer(notification)


def _expected(error: Exception) -> bool:
    return isinstance(error, errors.KilonovaError)
