"""WebSockets of the HTTP server: where they are taken, and what their clients may do before they are cut off."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kilonova.core.web import websockets
from kilonova.core.web.gateway import Gateway
from kilonova.core.web.limits import Limits
from kilonova.core.web.relay import ByteStream, relay
from kilonova.core.web.server import HttpServer
from kilonova.core.web.websockets import MESSAGE_SIZE
from tests.eventually import PATIENCE, until

UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n"
)


class Echo(ByteStream):
    """Gives back what it gets; `flood` gives without end."""

    def __init__(self, *, flood: bool = False) -> None:
        self.held: asyncio.Queue[bytes] = asyncio.Queue(4)
        self.flood, self.closed = flood, asyncio.Event()

    async def read(self) -> bytes:
        return bytes(1 << 16) if self.flood else await self.held.get()

    async def write(self, data: bytes) -> None:
        await self.held.put(data)

    async def close(self) -> None:
        self.closed.set()


class Served:
    def __init__(self) -> None:
        self.stream, self.timeout = Echo(), PATIENCE
        gateway = Gateway({"/api": self.answer})
        gateway.apps["/ws"] = self.relays
        gateway.websockets.add("/ws")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.server = HttpServer(
            gateway, drain_timeout=5, limits=Limits(connections_per_address=50), websockets=["/ws", "/api/never"]
        )

    async def answer(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"plain"})

    async def relays(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await relay(receive, send, self.stream, timeout=self.timeout)

    async def open(self, path: str = "/ws?token=sesame") -> ClientConnection:
        return await connect(f"ws://127.0.0.1:{self.port}{path}", proxy=None, max_size=None, open_timeout=PATIENCE)

    async def say(self, *pieces: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"".join(pieces))
        await writer.drain()
        return reader, writer


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    made = Served()
    task = asyncio.ensure_future(made.server.serve(sockets=[made.listener]))
    await until(lambda: made.server.started)
    yield made
    made.server.should_exit = True
    await task
    assert made.server.server_state.counted == 0


async def closed(client: ClientConnection) -> int | None:
    """The code that it was closed with, once it is."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(client.recv(), PATIENCE)
    return client.close_code


async def test_bytes_and_text_come_back(served: Served) -> None:
    client = await served.open()
    for sent in (b"\x00\xff", "type", os.urandom(MESSAGE_SIZE)):
        await client.send(sent)
        assert await client.recv() == (sent.encode() if isinstance(sent, str) else sent)
    assert served.server.server_state.counted == 1
    await client.close()
    await asyncio.wait_for(served.stream.closed.wait(), PATIENCE)
    await until(lambda: served.server.server_state.counted == 0)


@pytest.mark.parametrize("path", ["/api/never", "/ws/../ws", "/ws/%2e%2e/api"])
async def test_what_takes_none_refuses_them(served: Served, path: str) -> None:
    reader, writer = await served.say(UPGRADE % path.encode())
    assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 403 ")
    writer.close()


async def test_elsewhere_an_upgrade_is_answered_as_it_is(served: Served) -> None:
    reader, writer = await served.say(UPGRADE % b"/api/servers")
    assert (await asyncio.wait_for(reader.read(), PATIENCE)).endswith(b"5\r\nplain\r\n0\r\n\r\n")
    writer.close()


FRAMES = {
    "reserved bits": (b"\xf2\x81\x00\x00\x00\x00x", 1002),
    "not masked": (b"\x82\x01x", 1002),
    "an unknown kind": (b"\x83\x80\x00\x00\x00\x00", 1002),
    "a long ping": (b"\x89\xfe\x00\x80" + bytes(132), 1002),
    "a huge frame": (b"\x82\xff" + (1 << 40).to_bytes(8) + bytes(4), 1009),
    "huge in pieces": ((b"\x02\xff" + (900_000).to_bytes(8) + bytes(900_004)) + b"\x00\xff" + (900_000).to_bytes(8), 1009),
    "text that is none": (b"\x81\x81\x00\x00\x00\x00\xff", 1007),
}  # fmt: skip


@pytest.mark.parametrize(("frames", "code"), FRAMES.values(), ids=FRAMES)
async def test_garbage_ends_the_connection(served: Served, frames: bytes, code: int) -> None:
    reader, writer = await served.say(UPGRADE % b"/ws")
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    writer.write(frames)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    assert answer[:1] == b"\x88", "a closing frame"
    assert int.from_bytes(answer[2:4]) == code
    await asyncio.wait_for(served.stream.closed.wait(), PATIENCE)


async def test_a_client_that_reads_nothing_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websockets, "WRITE_TIMEOUT", 0.2)
    served.stream = Echo(flood=True)
    _, writer = await served.say(UPGRADE % b"/ws")
    await asyncio.wait_for(served.stream.closed.wait(), PATIENCE)
    await until(lambda: served.server.server_state.counted == 0)
    writer.close()


async def test_a_client_is_read_as_fast_as_it_is_served(served: Served) -> None:
    """What it sends to a stream that takes nothing stays with it."""
    client, sent = await served.open(), 0
    for _ in range(1000):
        try:
            await asyncio.wait_for(client.send(bytes(MESSAGE_SIZE)), 0.3)
        except TimeoutError:
            break
        sent += 1
    assert sent < 100
    client.transport.abort()


async def test_its_time_ends(served: Served) -> None:
    served.timeout = 0.05
    client = await served.open()
    assert await closed(client) == 1008
    assert client.close_reason == "the time of this console is over"


async def test_a_server_that_ends_says_so(served: Served) -> None:
    client = await served.open()
    served.server.drain()
    assert await closed(client) == 1012


async def test_no_token_is_logged(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await (await served.open()).close()
    with pytest.raises(InvalidStatus):
        await served.open("/api/never?token=sesame")
    assert [
        record for record in caplog.records if "sesame" in record.getMessage() and "client" not in record.name
    ] == []
