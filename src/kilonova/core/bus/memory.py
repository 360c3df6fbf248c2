"""The bus inside one process. Messages are encoded and decoded as on a real broker, so that both behave alike."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec

from kilonova.core import errors
from kilonova.core.bus.base import Bus, Envelope, Receipt, Reply, Server, handle
from kilonova.core.bus.interface import Interface

I = TypeVar("I", bound=Interface)  # noqa: E741


class _Receiver:
    """A server with its bound of concurrent messages."""

    def __init__(self, server: Server, concurrency: int) -> None:
        self.server = server
        self.slots = asyncio.Semaphore(concurrency)
        self.running: set[asyncio.Task[Reply]] = set()

    async def run(self, body: bytes) -> Reply:
        async with self.slots:
            return await handle(self.server, msgspec.msgpack.decode(body, type=Envelope))

    def start(self, body: bytes) -> asyncio.Task[Reply]:
        task = asyncio.ensure_future(self.run(body))
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task


class MemoryBus(Bus):
    """`memory://`. Receivers of a shared topic take turns."""

    def __init__(self) -> None:
        self._receivers: dict[str, dict[str, _Receiver]] = {}
        self._turns: dict[str, itertools.cycle[str]] = {}

    async def open(self) -> None:
        return None

    async def close(self) -> None:
        tasks = [t for hosts in self._receivers.values() for r in hosts.values() for t in r.running]
        self._receivers.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def serve(self, interface: type[I], manager: I, *, host: str, concurrency: int = 64) -> None:
        hosts = self._receivers.setdefault(interface.topic, {})
        hosts[host] = _Receiver(Server(interface, manager, host), concurrency)
        self._turns[interface.topic] = itertools.cycle(list(hosts))

    async def withdraw(self, interface: type[Interface], *, host: str) -> None:
        hosts = self._receivers.get(interface.topic, {})
        receiver = hosts.pop(host, None)
        self._turns[interface.topic] = itertools.cycle(list(hosts))
        if receiver is not None:
            await asyncio.gather(*receiver.running, return_exceptions=True)

    def _targets(self, envelope: Envelope) -> list[_Receiver]:
        hosts = self._receivers.get(envelope.topic, {})
        if envelope.pattern == "fanout":
            return list(hosts.values())
        if envelope.host is not None:
            found = hosts.get(envelope.host)
            if found is None:
                raise errors.NoReceiver(reason=f"no receiver on {envelope.topic}.{envelope.host}")
            return [found]
        if not hosts:
            raise errors.NoReceiver(reason=f"no receiver on {envelope.topic}")
        return [hosts[next(self._turns[envelope.topic])]]

    async def post(self, envelope: Envelope) -> Receipt:
        body = msgspec.msgpack.encode(envelope)
        # a future, not a coroutine: most senders do not wait for the receipt
        receipt = asyncio.ensure_future(_all([receiver.start(body) for receiver in self._targets(envelope)]))
        receipt.add_done_callback(lambda settled: settled.cancelled() or settled.exception())
        return receipt

    async def request(self, envelope: Envelope, timeout: float) -> Reply:
        (receiver,) = self._targets(envelope)
        task = receiver.start(msgspec.msgpack.encode(envelope))
        # as with a broker, the receiver continues when the caller is cancelled or times out
        await asyncio.wait([task], timeout=timeout)
        if not task.done():
            raise errors.CallTimeout(method=f"{envelope.topic}.{envelope.method}", seconds=timeout)
        if task.cancelled():
            raise errors.BusError(reason=f"{envelope.topic}.{envelope.method} was cut off")
        return msgspec.msgpack.decode(msgspec.msgpack.encode(task.result()), type=Reply)


def _all(tasks: list[asyncio.Task[Reply]]) -> Coroutine[Any, Any, None]:
    async def settle() -> None:
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, BaseException):
                raise errors.BusError(reason="the receiver was closed before it had finished")

    return settle()
