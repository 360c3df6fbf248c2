"""Waiting for events: the network's `network-vif-plugged`, the hypervisor's power states, operators' wishes."""

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

    async def all_there(self, server_uuid: str, name: str, timeout: float) -> bool:
        """Have all expected events come, at the latest in `timeout` s?"""
        waiting = list(self._awaited(server_uuid, name).values())
        if waiting:
            _, missing = await asyncio.wait(waiting, timeout=max(timeout, 0))
            return not missing
        return True

    def result(self, server_uuid: str, name: str) -> tuple[list[str], list[str]]:
        """(tags whose event failed, tags whose event has not come); nothing is expected any more."""
        waiting = self._awaited(server_uuid, name)
        failed = [tag for tag, event in waiting.items() if event.done() and event.result() != "completed"]
        missing = [tag for tag, event in waiting.items() if not event.done()]
        self.forget(server_uuid)
        return failed, missing

    def _awaited(self, server_uuid: str, name: str) -> dict[str, asyncio.Future[str]]:
        return {key[2]: event for key, event in self._expected.items() if key[:2] == (server_uuid, name)}

    def forget(self, server_uuid: str) -> None:
        for key in [k for k in self._expected if k[0] == server_uuid]:
            self._expected.pop(key).cancel()


class PowerBoard:
    """The hypervisor's lifecycle events, for the steps that wait for a guest's next one."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def next(self, server_uuid: str) -> asyncio.Future[None]:
        """Done at the guest's next event."""
        return self._waiting.setdefault(server_uuid, asyncio.get_running_loop().create_future())

    def seen(self, event: LifecycleEvent) -> None:
        future = self._waiting.pop(event.uuid, None)
        if future is not None and not future.done():
            future.set_result(None)


class WishBoard:
    """Whether operators have wished something of a guest on its way since that was asked last."""

    def __init__(self) -> None:
        self._wished: dict[str, asyncio.Event] = {}

    def of(self, server_uuid: str) -> asyncio.Event:
        return self._wished.setdefault(server_uuid, asyncio.Event())

    def changed(self, server_uuid: str) -> None:
        if server_uuid in self._wished:
            self._wished[server_uuid].set()

    def forget(self, server_uuid: str) -> None:
        self._wished.pop(server_uuid, None)
