"""What a client may take of the HTTP server before anything knows it: heads, bodies, connections; and how it drains."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from kilonova.core.web.limits import Limits, source_of
from kilonova.core.web.server import HEAD_SIZE, HEADER_COUNT, HttpServer
from tests.eventually import PATIENCE, until

GET = b"GET /hello HTTP/1.1\r\nHost: a\r\n"


class Application:
    """Answers with the body's length; /slow waits for `go`, /huge sends 100 MB in pieces."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = asyncio.Event()
        self.received = 0
        self.gone = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        if scope["path"] == "/slow":
            await self.go.wait()
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.set()
                raise RuntimeError("cut off")
            size, more = size + len(message["body"]), message["more_body"]
            self.received = size
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1600 if scope["path"] == "/huge" else 0):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": str(size).encode()})


class Served:
    def __init__(self, app: Application, port: int, server: HttpServer) -> None:
        self.app, self.port, self.server = app, port, server
        self.url = f"http://127.0.0.1:{port}"

    async def say(self, *pieces: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        return reader, writer

    async def answer(self, *pieces: bytes) -> bytes:
        """Everything that comes until the server closes."""
        reader, writer = await self.say(*pieces)
        return await asyncio.wait_for(_all(reader, writer), PATIENCE)

    async def is_empty(self) -> bool:
        await until(lambda: not self.server.server_state.counted)
        return True

    async def is_honest_served(self) -> bool:
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            return (await client.post(self.url + "/hello", content=b"abc")).text == "3"


async def _all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65536):
            found += piece
    writer.close()
    return found


@contextlib.asynccontextmanager
async def serving(drain_timeout: float = 5, **limits: Any) -> AsyncIterator[Served]:
    app, listener = Application(), socket.create_server(("127.0.0.1", 0))
    server = HttpServer(app, drain_timeout=drain_timeout, limits=Limits(**limits))
    task = asyncio.ensure_future(server.serve(sockets=[listener]))
    await until(lambda: server.started)
    try:
        yield Served(app, listener.getsockname()[1], server)
    finally:
        app.go.set()
        server.should_exit = True
        await task


HEADS = {
    "one long value": [GET + b"X-Long: ", *[b"a" * 60000] * 50],
    "one long name": [GET, *[b"a" * 60000] * 50],
    "a long target": [b"GET /", *[b"a" * 60000] * 50],
    "long in all": [GET + b"".join(b"X-%d: " % n + b"a" * 1000 + b"\r\n" for n in range(80)) + b"\r\n"],
    "many headers": [GET + b"X: y\r\n" * (HEADER_COUNT + 1) + b"\r\n"],
    "very many headers": [GET, *[b"X: y\r\n" * 10000] * 20],
    "a long trailer": [
        b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Long: ", *[b"a" * 60000] * 50],
    "a long chunk extension": [
        b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;", *[b"a" * 60000] * 50],
}  # fmt: skip


@pytest.mark.parametrize("pieces", HEADS.values(), ids=HEADS)
async def test_a_head_has_bounds(pieces: list[bytes]) -> None:
    async with serving() as served:
        assert (await served.answer(*pieces)).startswith(b"HTTP/1.1 431 "), "too large, and said so"
        assert await served.is_honest_served()


async def test_a_head_within_the_bounds_is_taken() -> None:
    async with serving() as served:
        headers = b"".join(b"X-%d: %s\r\n" % (n, b"a" * 200) for n in range(HEADER_COUNT - 3))
        assert len(headers) < HEAD_SIZE
        assert (await served.answer(GET + headers + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "pieces", [[b"\x16\x03\x01\x02\x00\x01\x00"], [b"GET / HTTP/1.1\r\nbad header\r\n\r\n"], [b"GET  HTTP\r\n\r\n"]]
)
async def test_what_is_no_request_is_refused(pieces: list[bytes]) -> None:
    async with serving() as served:
        assert (await served.answer(*pieces)).startswith(b"HTTP/1.1 400 ")


async def test_an_upgrade_is_answered_as_it_is() -> None:
    async with serving() as served:
        found = await served.answer(GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        assert found.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("said", "status"),
    [(b"", b""), (b"GET /he", b"HTTP/1.1 408 "), (GET, b"HTTP/1.1 408 "),
     (b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", b"HTTP/1.1 408 ")],
    ids=["nothing", "half a line", "half a head", "half a body"],
)  # fmt: skip
async def test_what_does_not_come_is_not_waited_for(said: bytes, status: bytes) -> None:
    async with serving(head_timeout=0.5, body_timeout=0.5) as served:
        found = await served.answer(said)
        assert found.startswith(status)
        assert bool(found) == bool(status)
        assert await served.is_empty()


@pytest.mark.parametrize(
    "head", [GET, b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"], ids=["head", "body"]
)
async def test_trickling_is_not_coming(head: bytes) -> None:
    """A byte now and then holds no connection for long, and meanwhile others are served."""
    async with serving(head_timeout=1.0, body_timeout=1.0) as served:
        reader, writer = await served.say(head)
        answering = asyncio.ensure_future(_all(reader, writer))

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError, RuntimeError):
                while not answering.done():
                    writer.write(b"a")
                    await asyncio.sleep(0.05)

        trickling = asyncio.ensure_future(trickle())
        assert await served.is_honest_served()
        assert (await asyncio.wait_for(answering, PATIENCE)).startswith(b"HTTP/1.1 408 ")
        await trickling


async def test_a_body_that_keeps_coming_has_time() -> None:
    async with serving(body_timeout=1.0) as served:

        async def body() -> AsyncIterator[bytes]:
            for _ in range(15):
                await asyncio.sleep(0.2)
                yield b"a" * 1000

        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            assert (await client.post(served.url + "/hello", content=body())).text == "15000"


@pytest.mark.parametrize("limits", [{"connections": 40}, {"connections_per_address": 40}], ids=["all", "one address"])
async def test_half_open_connections_keep_no_client_out(limits: dict[str, int]) -> None:
    async with serving(**limits, head_timeout=60.0) as served:
        half = [await served.say(GET) for _ in range(200)]
        assert served.server.server_state.counted <= 40
        assert await served.is_honest_served()
        for _, writer in half:
            writer.close()


async def test_where_all_have_work_a_new_one_is_refused() -> None:
    async with serving(connections=8, connections_per_address=5) as served:
        asked = GET.replace(b"/hello", b"/slow") + b"\r\n"
        busy = [await served.say(asked) for _ in range(5)]
        await until(lambda: len(served.server.server_state.tasks) >= 5)
        assert (await served.answer()).startswith(b"HTTP/1.1 503 ")
        served.app.go.set()
        for reader, _ in busy:
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        for _, writer in busy:
            writer.close()
        assert await served.is_empty()
        assert await served.is_honest_served()


@pytest.mark.parametrize(
    ("address", "source"),
    [("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8:0:1::5", "2001:db8:0:1::"),
     ("2001:db8:0:1:ffff::", "2001:db8:0:1::"), ("fe80::1%eth0", "fe80::"), ("::1", "::")],
)  # fmt: skip
def test_what_counts_as_one_address(address: str, source: str) -> None:
    assert source_of(address) == source


async def test_one_address_never_takes_all_connections() -> None:
    async with serving(connections=8, connections_per_address=100) as served:
        assert served.server.server_state.most_per_address == 6


async def test_an_answer_that_is_not_taken_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kilonova.core.web.server.WRITE_TIMEOUT", 0.5)
    async with serving() as served:
        _, writer = await served.say(GET.replace(b"/hello", b"/huge") + b"\r\n")
        writer.transport.pause_reading()
        await served.app.asked.wait()
        assert await served.is_empty()
        writer.transport.abort()


async def test_a_client_that_hangs_up_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with serving() as served:
        with capture_logs() as logs:
            for path in (b"/hello", b"/huge"):
                served.app.asked.clear()
                _, writer = await served.say(
                    b"POST "
                    + path
                    + b" HTTP/1.1\r\nHost: a\r\nContent-Length: "
                    + (b"10" if path == b"/hello" else b"0")
                    + b"\r\n\r\n"
                )
                await served.app.asked.wait()
                writer.transport.abort()
            await until(lambda: not served.server.server_state.tasks)
    assert served.app.gone.is_set()
    assert caplog.records == []
    assert [entry for entry in logs if entry["log_level"] != "debug"] == []


async def test_draining_is_polite() -> None:
    """Idle connections are closed; one with a request in work gets its answer, which says that it is the last."""
    async with serving() as served:
        idle_reader, idle = await served.say(GET + b"\r\n")
        assert b"connection: close" not in await idle_reader.readuntil(b"0\r\n\r\n")
        served.app.asked.clear()
        reader, writer = await served.say(GET.replace(b"/hello", b"/slow") + b"\r\n")
        await served.app.asked.wait()
        served.server.drain()
        assert await asyncio.wait_for(idle_reader.read(), PATIENCE) == b""
        late = await served.answer(
            GET + b"\r\n"
        )  # it does not know of the drain: it is answered, and the answer says so
        assert late.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in late
        served.app.go.set()
        assert b"connection: close" in await asyncio.wait_for(_all(reader, writer), PATIENCE)
        idle.close()


async def test_a_body_that_does_not_come_holds_no_drain_up() -> None:
    async with serving(drain_timeout=2 * PATIENCE, body_timeout=1.0) as served:
        reader, writer = await served.say(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        await served.app.asked.wait()
        served.server.drain()
        served.server.should_exit = True
        assert b" 408 " in await asyncio.wait_for(reader.read(1000), PATIENCE)
        assert await served.is_empty(), "nor does a client that does not hang up"
        writer.close()


async def test_an_idle_connection_is_kept() -> None:
    async with serving() as served:
        assert served.server.config.timeout_keep_alive == 75
