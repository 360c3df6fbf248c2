"""Just enough HTTP/1.1 for the metadata proxy: one request and one answer a connection, with limits."""

from __future__ import annotations

import asyncio
import http
from collections.abc import Iterable

import httptools

HEAD_LIMIT, BODY_LIMIT, REQUEST_SECONDS = 16384, 65536, 10.0


class BadRequest(Exception):
    """The status to answer with."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Request:
    """Filled by httptools' parser; `target` is the path with its query, header names are lower case."""

    def __init__(self) -> None:
        self.method = ""
        self.target = ""
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.complete = False
        self._head_done = False

    def on_url(self, url: bytes) -> None:
        self.target += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        self.body += body
        if len(self.body) > BODY_LIMIT:
            raise BadRequest(413)

    def on_message_complete(self) -> None:
        self.complete = True

    def check_size(self, received: int) -> None:
        if not self._head_done and received > HEAD_LIMIT:
            raise BadRequest(431)
        if received > HEAD_LIMIT + 2 * BODY_LIMIT:
            raise BadRequest(413)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """None when the client said nothing; raises BadRequest."""
    request = Request()
    parser = httptools.HttpRequestParser(request)
    received = 0
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            while not request.complete:
                data = await reader.read(HEAD_LIMIT)
                if not data:
                    if received:
                        raise BadRequest(400)
                    return None
                received += len(data)
                parser.feed_data(data)
                request.check_size(received)
    except TimeoutError:
        raise BadRequest(408) from None
    except httptools.HttpParserCallbackError:
        raise BadRequest(413) from None
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        raise BadRequest(400) from None
    request.method = parser.get_method().decode("latin-1")
    return request


def answer(status: int, headers: Iterable[tuple[str, str]], body: bytes, *, head: bool = False) -> bytes:
    """A whole answer; the connection ends with it."""
    try:
        phrase = http.HTTPStatus(status).phrase
    except ValueError:
        phrase = "Status"
    lines = [
        f"HTTP/1.1 {status} {phrase}",
        *(f"{name}: {value}" for name, value in headers),
        f"Content-Length: {len(body)}",
        "Connection: close",
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + (b"" if head else body)


def fault(status: int) -> bytes:
    text = f"{status} {http.HTTPStatus(status).phrase}\n"
    return answer(status, [("Content-Type", "text/plain; charset=utf-8")], text.encode())
