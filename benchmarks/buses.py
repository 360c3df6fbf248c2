"""Calls and casts a second, in one process and over a broker."""

from __future__ import annotations

import asyncio
import time

from benchmarks.clouds import workplace
from benchmarks.results import Row
from kilonova.core.bus import Bus, Interface, call, cast, open_bus
from kilonova.core.context import RequestContext
from kilonova.testing.engines import RabbitMQ

MESSAGES, AT_ONCE = 2000, 50
CONTEXT = RequestContext(request_id="req-bench")


class EchoAPI(Interface):
    topic = "bench"

    @call(timeout=30)
    async def echo(self, ctx: RequestContext, text: str) -> str:
        return text

    @cast
    async def take(self, ctx: RequestContext, text: str) -> None: ...


class Echo(EchoAPI):
    def __init__(self) -> None:
        self.left, self.done = 0, asyncio.Event()

    async def take(self, ctx: RequestContext, text: str) -> None:
        self.left -= 1
        if not self.left:
            self.done.set()


def run(rounds: int) -> list[Row]:
    with workplace() as folder, RabbitMQ(folder) as broker:
        return [row for url in ("memory://", broker.url) for row in asyncio.run(_rows(url, rounds))]


async def _rows(url: str, rounds: int) -> list[Row]:
    bus = open_bus(url)
    await bus.open()
    manager = Echo()
    await bus.serve(EchoAPI, manager, host="h")
    kind = url.partition(":")[0]
    calls = [await _calls(bus) for _ in range(rounds)]
    casts = [await _casts(bus, manager) for _ in range(rounds)]
    await bus.close()
    return [
        Row(what=f"{kind}: calls, {AT_ONCE} at once", unit="/s", samples=calls, more_is_better=True),
        Row(what=f"{kind}: casts handled, {AT_ONCE} posted at once", unit="/s", samples=casts, more_is_better=True),
    ]


async def _calls(bus: Bus) -> float:
    client = bus.client(EchoAPI)
    return await _spread(lambda: client.echo(CONTEXT, "x"))


async def _casts(bus: Bus, manager: Echo) -> float:
    client = bus.client(EchoAPI)
    manager.left = MESSAGES
    manager.done.clear()
    began = time.perf_counter()
    await _spread(lambda: client.take(CONTEXT, "x"))
    await manager.done.wait()
    return MESSAGES / (time.perf_counter() - began)


async def _spread(act: object) -> float:
    """MESSAGES of them by AT_ONCE workers; how many a second."""
    turns = iter(range(MESSAGES))

    async def work() -> None:
        for _ in turns:
            await act()  # type: ignore[operator]

    began = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return MESSAGES / (time.perf_counter() - began)
