"""Requests inside the process: streams both ways, ends of all kinds, the gateway before several services."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar, get
from litestar.response import Stream

from kilonova.core import errors
from kilonova.core.web.client import ServiceClient, refusal
from kilonova.core.web.gateway import Gateway
from kilonova.core.web.transport import AsgiTransport
from tests.eventually import PATIENCE

URL = "http://kilonova.test/x?a=1&b=%20"
MIB = 1 << 20


async def start(send: Any, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"X-Kind", b"echo")]})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    while True:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message["body"], "more_body": more})
        if not more:
            return


def rss() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def test_a_request_arrives_as_it_was_sent() -> None:
    seen: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.update(scope, body=(await receive())["body"])
        await start(send, 418)
        await send({"type": "http.response.body", "body": b"short and stout"})

    async with AsgiTransport(app).send("PUT", URL, {"X-A": "1"}, b"tea") as answer:
        assert (answer.status, answer.headers, await answer.read()) == (418, {"x-kind": "echo"}, b"short and stout")
    assert (seen["method"], seen["path"], seen["query_string"], seen["body"]) == ("PUT", "/x", b"a=1&b=%20", b"tea")
    assert (b"x-a", b"1") in seen["headers"]
    assert (b"host", b"kilonova.test") in seen["headers"]


async def test_large_bodies_flow_both_ways_in_little_memory() -> None:
    piece = b"\xab" * MIB

    async def upload() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield bytes(piece)

    gc.collect()
    before, got, most = rss(), 0, 0
    async with AsgiTransport(echo).send("POST", URL, {}, upload()) as answer:
        async for chunk in answer.chunks:
            got += len(chunk)
            most = max(most, rss())
    assert got == 200 * MIB
    assert most - before < 40 * MIB


async def test_no_more_than_a_few_pieces_are_made_in_advance() -> None:
    made = 0

    async def upload() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(100):
            made += 1
            yield b"x"

    async with AsgiTransport(echo).send("POST", URL, {}, upload()) as answer:
        await anext(answer.chunks)
        await asyncio.sleep(0.01)
        assert made < 8


@pytest.mark.parametrize("kind", ["plain", "litestar"])
async def test_a_client_that_goes_early_stops_the_app(kind: str) -> None:
    made, ended = 0, asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        nonlocal made
        try:
            while True:
                made += 1
                yield b"x" * 1000
                await asyncio.sleep(0)
        finally:
            ended.set()

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        pieces = endless()
        try:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            await pieces.aclose()

    @get("/x")
    async def stream() -> Stream:
        return Stream(endless())

    app = plain if kind == "plain" else Litestar([stream], openapi_config=None, logging_config=None)
    async with asyncio.timeout(PATIENCE), AsgiTransport(app).send("GET", URL, {}, b"") as answer:
        await anext(answer.chunks)
    async with asyncio.timeout(PATIENCE):
        while not ended.is_set():
            gc.collect()
            await asyncio.sleep(0.01)
    now = made
    await asyncio.sleep(0.02)
    assert made == now
    assert made < 100


async def test_an_app_that_fails_before_its_reply() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("hunter2")

    with pytest.raises(errors.ServiceUnavailable) as caught:
        async with AsgiTransport(app).send("GET", URL, {}, b""):
            pass
    assert "hunter2" not in caught.value.message


async def test_an_app_that_sends_no_reply() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return None

    with pytest.raises(errors.ServiceUnavailable, match="no reply"):
        async with AsgiTransport(app).send("GET", URL, {}, b""):
            pass


async def test_a_reply_that_is_cut_off_is_not_taken_for_a_whole_one() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await start(send)
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        raise ZeroDivisionError

    got = b""
    with pytest.raises(errors.ServiceUnavailable, match="cut off"):  # noqa: PT012 - it comes while reading
        async with AsgiTransport(app).send("GET", URL, {}, b"") as answer:
            async for chunk in answer.chunks:
                got += chunk
    assert got == b"half"


async def test_an_upload_that_fails_does_not_look_finished() -> None:
    whole = False

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal whole
        while (await receive()).get("more_body"):
            pass
        whole = True
        await start(send)
        await send({"type": "http.response.body", "body": b""})

    async def upload() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError("disk gone")

    with pytest.raises(errors.ServiceUnavailable):
        async with AsgiTransport(app).send("POST", URL, {}, upload()) as answer:
            await answer.read()
    assert not whole


async def test_a_cancelled_caller_ends_the_app() -> None:
    inside, ended = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await start(send)
            while True:
                inside.set()
                await send({"type": "http.response.body", "body": b"x", "more_body": True})
        finally:
            ended.set()

    async def caller() -> None:
        async with AsgiTransport(app).send("GET", URL, {}, b"") as answer:
            await anext(answer.chunks)
            await asyncio.sleep(60)

    task = asyncio.ensure_future(caller())
    await inside.wait()
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), PATIENCE)


# ---- gateway


async def named(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    body = f"{scope['path']} {scope['raw_path'].decode()} {scope['query_string'].decode()}"
    await send({"type": "http.response.body", "body": body.encode()})


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/image/v2/images?limit=1", 200, "/v2/images /v2/images limit=1"),
        ("/image", 200, "/ / "),
        ("/image/", 200, "/ / "),
        ("/image/a%2Fb", 200, "/a/b /a%2Fb "),
        ("/images/v2", 404, None),
        ("/ima", 404, None),
        ("/v2", 404, None),
        ("//image", 404, None),
        ("/", 200, None),
    ],
)
async def test_the_first_segment_picks_the_service(path: str, status: int, body: str | None) -> None:
    gateway = Gateway({"/image": named, "/compute": echo})
    async with AsgiTransport(gateway).send("GET", "http://kilonova.test" + path, {}, b"") as answer:
        data = await answer.read()
        assert answer.status == status
    if body is not None:
        assert data.decode() == body
    elif status == 200:
        assert msgspec.json.decode(data) == {"services": ["/compute", "/image"]}
    else:
        assert msgspec.json.decode(data) == {"error": "no such service"}


async def test_lifespan_is_answered() -> None:
    messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message["type"])

    await Gateway({})({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


# ---- clients


class Tokens:
    def __init__(self) -> None:
        self.now, self.renewed = "stale", 0

    async def token(self) -> str:
        return self.now

    async def renew(self, rejected: str) -> str:
        self.renewed += 1
        self.now = "fresh"
        return self.now


def guarded(good: str) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        token = dict(scope["headers"]).get(b"x-auth-token", b"").decode()
        await start(send, 200 if token == good else 401)
        await send({"type": "http.response.body", "body": b'{"message": "no"}'})

    return app


async def test_a_stale_token_is_renewed_once() -> None:
    tokens = Tokens()
    client = ServiceClient("http://kilonova.test", AsgiTransport(guarded("fresh")), tokens)
    await client.request("GET", "/")
    assert tokens.renewed == 1
    never = ServiceClient("http://kilonova.test", AsgiTransport(guarded("never")), tokens)
    with pytest.raises(errors.Unauthorized):
        await never.request("GET", "/")
    assert tokens.renewed == 2


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (404, b'{"itemNotFound": {"code": 404, "message": "no server"}}', errors.NotFound, "no server"),
        (409, b'{"errors": [{"detail": "busy"}]}', errors.Conflict, "busy"),
        (400, b'{"message": "bad", "code": "400 Bad Request"}', errors.BadRequest, "bad"),
        (409, b'{"NeutronError": {"type": "X", "message": "used"}}', errors.Conflict, "used"),
        (418, b"tea", errors.BadRequest, "HTTP 418"),
        (502, b"<html>", errors.KilonovaError, "HTTP 502"),
        (404, b"", errors.NotFound, "HTTP 404"),
        (404, b"[1]", errors.NotFound, "HTTP 404"),
        (404, b'{"errors": []}', errors.NotFound, "HTTP 404"),
        (404, b'{"errors": ["x"]}', errors.NotFound, "HTTP 404"),
    ],
)
def test_refusals_are_typed(status: int, body: bytes, kind: type[Exception], message: str) -> None:
    error = refusal(status, body)
    assert type(error) is kind
    assert error.message == message
