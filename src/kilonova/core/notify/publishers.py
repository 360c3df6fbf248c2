"""Where notifications go when there is no broker."""

from __future__ import annotations

from typing import Protocol

from kilonova.core import log
from kilonova.core.notify.envelope import Notification

logger = log.get("notify")


class Publisher(Protocol):
    async def publish(self, notification: Notification) -> None:
        """Return when it is in safe hands. Raises BusError when that is not certain; the same is then published again."""

    async def close(self) -> None: ...


class LogPublisher:
    async def publish(self, notification: Notification) -> None:
        n = notification
        logger.info("notification", event_type=n.event_type, publisher=n.publisher_id, priority=n.priority)

    async def close(self) -> None:
        return
