"""How a service reaches another's REST API: over a socket, or, in the same process, by a call of its ASGI application."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import msgspec

from kilonova.core import errors

ASGIApp = Any
Content = bytes | AsyncIterator[bytes]
# connections are given up by us, before the server or a balancer between closes them under a request
LIMITS = httpx.Limits(max_connections=256, max_keepalive_connections=64, keepalive_expiry=10)


class Answer(msgspec.Struct):
    """A response whose body is still to be read. Header names are lower case."""

    status: int
    headers: dict[str, str]
    chunks: AsyncIterator[bytes]

    async def read(self) -> bytes:
        return b"".join([chunk async for chunk in self.chunks])


class Transport(ABC):
    @abstractmethod
    def send(self, method: str, url: str, headers: dict[str, str], content: Content) -> Any:
        """An async context manager giving an Answer; raises ServiceUnavailable when the service is unreachable."""

    async def close(self) -> None:
        return None


class HttpTransport(Transport):
    """Over sockets, with kept connections. `timeout` in seconds for each read and write."""

    def __init__(self, *, timeout: float = 60, verify: bool | ssl.SSLContext = True) -> None:
        self._client = httpx.AsyncClient(
            timeout=timeout, verify=verify, trust_env=False, follow_redirects=False, limits=LIMITS
        )

    @asynccontextmanager
    async def send(self, method: str, url: str, headers: dict[str, str], content: Content) -> AsyncIterator[Answer]:
        try:
            async with self._client.stream(method, url, headers=headers, content=content) as response:
                yield Answer(response.status_code, dict(response.headers), response.aiter_bytes(1 << 18))
        except httpx.TransportError as error:
            raise errors.PeerAway(reason=f"{urlsplit(url).netloc}: {error or type(error).__name__}") from error

    async def close(self) -> None:
        await self._client.aclose()


class AsgiTransport(Transport):
    """Into an ASGI application of this process. Bodies stream both ways with one piece in flight."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    @asynccontextmanager
    async def send(self, method: str, url: str, headers: dict[str, str], content: Content) -> AsyncIterator[Answer]:
        exchange = _Exchange(content)
        task = asyncio.ensure_future(exchange.run(self.app, _scope(method, url, headers)))
        try:
            status, reply_headers = await exchange.started
            yield Answer(status, reply_headers, exchange.body())
        finally:
            exchange.gone.set()
            exchange.over.set()
            if not task.done():
                exchange.drain()
            await asyncio.gather(task, return_exceptions=True)


def _scope(method: str, url: str, headers: dict[str, str]) -> dict[str, Any]:
    parts = urlsplit(url)
    raw = [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers.items()]
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": parts.scheme,
        "path": unquote(parts.path), "raw_path": parts.path.encode(), "query_string": parts.query.encode(), "root_path": "",
        "headers": [*raw, (b"host", parts.netloc.encode())], "client": ("127.0.0.1", 0),
        "server": (parts.hostname or "", parts.port or 80), "extensions": {}, "state": {},
    }  # fmt: skip


class _Exchange:
    def __init__(self, content: Content) -> None:
        self._content = content
        self._sent = False
        self._failure: errors.KilonovaError | None = None
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(maxsize=2)
        self.started: asyncio.Future[tuple[int, dict[str, str]]] = asyncio.get_running_loop().create_future()
        self.gone = asyncio.Event()
        self.over = asyncio.Event()  # as servers do, a disconnect is reported once the whole reply was sent

    async def run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        try:
            await app(scope, self._receive, self._send)
        except Exception as error:  # over a socket, the connection would break
            self._failure = errors.ServiceUnavailable(reason=f"the reply was cut off ({type(error).__name__})")
        finally:
            if not self.started.done():
                self.started.set_exception(self._failure or errors.ServiceUnavailable(reason="no reply"))
                self.started.exception()  # no caller may be waiting any more
            await self._put(None)

    async def _put(self, piece: bytes | None) -> None:
        if not self.gone.is_set():
            await self._pieces.put(piece)

    def drain(self) -> None:
        while not self._pieces.empty():
            self._pieces.get_nowait()

    async def _receive(self) -> dict[str, Any]:
        if isinstance(self._content, bytes):
            if self._sent:
                await self.over.wait()
                return {"type": "http.disconnect"}
            self._sent = True
            return {"type": "http.request", "body": self._content, "more_body": False}
        async for piece in self._content:
            return {"type": "http.request", "body": piece, "more_body": True}
        self._content = b""
        self._sent = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in message.get("headers", [])}
            self.started.set_result((message["status"], headers))
            return
        if message.get("body"):
            if self.gone.is_set() and message.get("more_body"):
                raise ConnectionResetError("the client is gone")
            await self._put(bytes(message["body"]))
        if not message.get("more_body"):
            self.over.set()

    async def body(self) -> AsyncIterator[bytes]:
        while (piece := await self._pieces.get()) is not None:
            yield piece
        if self._failure is not None:
            raise self._failure
