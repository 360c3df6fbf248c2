"""Guests that QEMU stopped because a disk failed: they go on by themselves when the disk is back.

Disks that are reached by NBD stop their guest rather than report an error, so that a server which is started again costs a
pause and no data: QEMU repeats what failed when the guest goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kilonova.compute.virt.driver import GuestNotFound, VirtError
from kilonova.core import log
from kilonova.core.retry import Backoff

BACKOFF = Backoff(0.2, 10.0)
SETTLED = 1.0  # seconds in which a disk that is still away stops the guest again

LOG = log.get(__name__)


class WaitingGuests:
    """`go_on(uuid)` lets a guest run whose disk failed, and answers whether it was stopped for that."""

    def __init__(self, go_on: Callable[[str], Awaitable[bool]]) -> None:
        self._go_on = go_on
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, uuid: str) -> None:
        """From an event, or a look at the guest; on the loop."""
        if uuid not in self._tasks:
            task = self._tasks[uuid] = asyncio.get_running_loop().create_task(self._bring_back(uuid))
            task.add_done_callback(lambda _: self._tasks.pop(uuid, None))

    def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def _bring_back(self, uuid: str) -> None:
        LOG.warning("guest waits for a disk", uuid=uuid)
        attempt = 1
        while True:
            await asyncio.sleep(BACKOFF.pause(attempt))
            attempt += 1
            try:
                waited = await self._go_on(uuid)
            except GuestNotFound:
                return
            except VirtError as error:
                LOG.warning("guest still waits for a disk", uuid=uuid, reason=str(error))
                continue
            if not waited:
                LOG.info("guest goes on", uuid=uuid)
                return
            await asyncio.sleep(SETTLED)
