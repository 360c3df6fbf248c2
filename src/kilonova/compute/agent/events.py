"""Waiting for what others see: the network's `network-vif-plugged`, the hypervisor's power states."""

from __future__ import annotations

import asyncio

from kilonova.compute.models import ExternalEvent
from kilonova.compute.virt.driver import LifecycleEvent


class EventBoard:
    """Expectations are set before the act that causes the event, so that none is missed."""

    def __init__(self) -> None:
        self._expected: dict[tuple[str, str, str], asyncio.Future[str]] = {}

    def expect(self, server_uuid: str, name: str, tags: list[str]) -> None:
        """Expect one event for each tag, unless it is expected already."""
        loop = asyncio.get_running_loop()
        for tag in tags:
            key = (server_uuid, name, tag)
            if key not in self._expected:
                self._expected[key] = loop.create_future()

    def arrived(self, event: ExternalEvent) -> None:
        """Repeated and unexpected events do nothing."""
        future = self._expected.get((event.server_uuid, event.name, event.tag or ""))
        if future is not None and not future.done():
            future.set_result(event.status)

    async def wait(self, server_uuid: str, name: str, timeout: float) -> tuple[list[str], list[str]]:
        """(tags whose event failed, tags whose event did not come within `timeout` s)."""
        waiting = {k: f for k, f in self._expected.items() if k[0] == server_uuid and k[1] == name}
        if waiting:
            await asyncio.wait(waiting.values(), timeout=timeout)
        failed = [k[2] for k, f in waiting.items() if f.done() and f.result() != "completed"]
        missing = [k[2] for k, f in waiting.items() if not f.done()]
        self.forget(server_uuid)
        return failed, missing

    def forget(self, server_uuid: str) -> None:
        for key in [k for k in self._expected if k[0] == server_uuid]:
            self._expected.pop(key).cancel()


class PowerBoard:
    """The hypervisor's lifecycle events, for those who wait for a guest's next one."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def next(self, server_uuid: str) -> asyncio.Future[None]:
        """Done at the guest's next event."""
        return self._waiting.setdefault(server_uuid, asyncio.get_running_loop().create_future())

    def seen(self, event: LifecycleEvent) -> None:
        future = self._waiting.pop(event.uuid, None)
        if future is not None and not future.done():
            future.set_result(None)
