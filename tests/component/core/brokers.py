"""What tests of the bus over a broker share: a clean broker, raw access to it, a wire that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiormq
from aiormq.abc import AbstractChannel

from kilonova.core.bus import open_bus
from kilonova.core.bus.amqp import AmqpBus

HOSTS = ("h0", "h1", "h2", "h3", "away")


@asynccontextmanager
async def channel(url: str) -> AsyncIterator[AbstractChannel]:
    async with aiormq.connect(url) as connection:
        yield await connection.channel()


async def clear(url: str) -> None:
    async with channel(url) as broker:
        for queue in ("kilonova.paint", *(f"kilonova.paint.{host}" for host in HOSTS), "kilonova.dead"):
            await broker.queue_delete(queue)
        await broker.exchange_delete("kilonova")
        await broker.exchange_delete("kilonova.dead")


async def open_amqp(url: str, **options: float) -> AmqpBus:
    query = "&".join(f"{name}={value}" for name, value in options.items())
    bus = open_bus(f"{url}?{query}" if query else url)
    assert isinstance(bus, AmqpBus)
    await bus.open()
    return bus


async def left_in(url: str, queue: str) -> int:
    """Messages that no consumer has acknowledged or holds."""
    async with channel(url) as broker:
        return (await broker.queue_declare(queue, passive=True)).message_count or 0


class Wire:
    """A proxy between a bus and its broker that can be cut; while it is `down` no connection gets through."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = parts.hostname, parts.port
        self._ends: set[asyncio.StreamWriter] = set()
        self._parts, self.down = parts, False

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = self._parts._replace(
            netloc=f"{self._parts.username}:{self._parts.password}@127.0.0.1:{port}"
        ).geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        for end in self._ends:
            end.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        if self.down:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        self._ends.add(far_writer)
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer), return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
