"""The HTTP server of every process: uvicorn, with bounds on what a client may use before it is authenticated.

A request's head must be complete within seconds and is at most 64 KiB; a body must keep coming; an answer must be taken. There
is a bound on connections, of all clients and of one address. At the bound the connection that waits longest for its client is
closed in favour of the new one; only where all of them have a request in work is the new one refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import resource
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from kilonova.core import log
from kilonova.core.web.limits import Limits, source_of
from kilonova.core.web.transport import ASGIApp

HEAD_SIZE = 64 << 10  # bytes of a request's head, or of a trailer
HEADER_COUNT = 256
KEEP_ALIVE = 75  # seconds for which an idle connection is kept; longer than our own clients and haproxy keep theirs
BODY_RATE = 500  # bytes a second; a body that comes more slowly for `body_timeout` is given up
WRITE_TIMEOUT = 60.0  # seconds in which a client must take some of an answer
LINGER = 2.0  # seconds in which a refused client may read why
SPARE_FILES = 128  # of the process's open files: databases, broker, clients, images
MOST_FILES = 65536
NEVER = math.inf
logger = log.get("http")


class State(ServerState):
    """What the connections of one server share. `waiting` holds those without a request in work, longest first."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.most = max(min(limits.connections, raise_open_files() - SPARE_FILES), 1)
        # one address never takes all of them
        self.most_per_address = max(min(limits.connections_per_address, self.most * 3 // 4), 1)
        self.counted = 0
        self.by_address: Counter[str] = Counter()
        self.waiting: dict[BoundedProtocol, None] = {}
        self.websockets: tuple[bytes, ...] = ()
        self.draining = False

    def admit(self, connection: BoundedProtocol) -> bool:
        """Count a new connection, or say that there is no room for it."""
        address = connection.address
        if self.by_address[address] >= self.most_per_address and not self._make_room(address):
            return False
        if self.counted >= self.most and not self._make_room(None):
            return False
        connection.counted = True
        self.counted += 1
        self.by_address[address] += 1
        self.waiting[connection] = None
        return True

    def forget(self, connection: BoundedProtocol) -> None:
        self.waiting.pop(connection, None)
        if connection.counted:
            connection.counted = False
            self.counted -= 1
            self.by_address[connection.address] -= 1
            if not self.by_address[connection.address]:
                del self.by_address[connection.address]

    def _make_room(self, address: str | None) -> bool:
        oldest = next((other for other in self.waiting if address in (None, other.address)), None)
        if oldest is None:
            return False
        self.forget(oldest)
        oldest.transport.abort()
        return True


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `due` is the loop's time by which its client must have sent or received more; `sweep` checks it."""

    server_state: State

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.address = ""
        self.counted = False
        self.due = NEVER
        self._in_body = False
        self._deaf = False  # what else comes is not read
        self._held = 0  # bytes that the parser keeps for itself
        self._moved = False
        self._size = self._count = 0  # of the head
        self._refusal = HTTPStatus.BAD_REQUEST
        self._unsent, self._unsent_since = 0, 0.0

    # ---- a connection's life

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = source_of(self.client[0]) if self.client else ""
        self.due = self.loop.time() + self.server_state.limits.head_timeout
        if not self.server_state.admit(self):
            self.refuse(HTTPStatus.SERVICE_UNAVAILABLE)
            transport.close()  # it may not linger: there is no room

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        try:
            for start in range(0, len(data), HEAD_SIZE):
                self._feed(data[start : start + HEAD_SIZE] if len(data) > HEAD_SIZE else data)
        except httptools.HttpParserUpgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
                return
            self._deaf = True  # there is nothing to upgrade to: answered as it is, and the last one here
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self.refuse(self._refusal)

    def _feed(self, piece: bytes) -> None:
        """The parser keeps names, values and what it skips until they are whole: none may be larger than a head."""
        self._moved = False
        self.parser.feed_data(piece)
        self._held = 0 if self._moved else self._held + len(piece)
        if self._held > HEAD_SIZE:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise httptools.HttpParserError

    def _should_upgrade(self) -> bool:
        return self.url.startswith(self.server_state.websockets) and super()._should_upgrade()

    # ---- the parser's words

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._size = self._count = 0
        self.due = self.loop.time() + self.server_state.limits.head_timeout

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        self._grow(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        self._count += 1
        self._grow(len(name) + len(value) + 4)

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > HEAD_SIZE or self._count > HEADER_COUNT:
            self._refusal = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise httptools.HttpParserError

    def on_headers_complete(self) -> None:
        self._moved = self._in_body = True
        self.server_state.waiting.pop(self, None)
        self.due = self.loop.time() + self.server_state.limits.body_timeout
        super().on_headers_complete()
        if self.server_state.draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._moved = True
        super().on_body(body)
        latest = self.loop.time() + self.server_state.limits.body_timeout
        self.due = min(self.due + len(body) / BODY_RATE, latest)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body = False
        self.due = NEVER

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.counted and not self.pipeline:
            self.server_state.waiting[self] = None
            if self._in_body:  # it is read to its end, at the pace of any other, and then the next request
                self._unset_keepalive_if_required()

    def _start_asgi_task(self, cycle: Any, app: ASGIApp) -> None:
        super()._start_asgi_task(cycle, _quietly(cycle, app))

    # ---- ends

    def refuse(self, status: HTTPStatus) -> None:
        """Answer and close. What the client still says is not read, but taken, or it might never see the answer."""
        self._deaf = True
        self.server_state.waiting.pop(self, None)
        logger.debug("refused", status=int(status), address=self.address)
        if self.transport.is_closing():
            return
        running = self.cycle is not None and not self.cycle.response_complete
        if not running or not self.cycle.response_started:
            text = f"{int(status)} {status.phrase}\n"
            head = f"HTTP/1.1 {text.strip()}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}"
            self.transport.write(f"{head}\r\nconnection: close\r\n\r\n{text}".encode())
        if running:  # nothing of the request's own comes after this
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.flow.resume_reading()
        self.due = self.loop.time() + LINGER
        with contextlib.suppress(OSError, RuntimeError):
            self.transport.write_eof()

    def shutdown(self) -> None:
        super().shutdown()
        if self.transport.is_closing() and self.transport.get_extra_info("ssl_object") is not None:
            self.loop.call_later(LINGER, self._cut)

    def _cut(self) -> None:
        """A TLS connection is only closed when its client has said so too, which an idle one may never do."""
        if self in self.server_state.connections and not self.transport.get_write_buffer_size():
            self.transport.abort()

    def sweep(self, now: float, passed: float) -> None:
        """`passed`: seconds since the last time."""
        if self.flow.read_paused:  # this server makes the client wait
            self.due += passed
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        if now - self._unsent_since > WRITE_TIMEOUT or (self._deaf and now > self.due):
            self.transport.abort()
        elif now > self.due and self.headers is None:  # it never sent anything
            self.transport.close()
        elif now > self.due:
            self.refuse(HTTPStatus.REQUEST_TIMEOUT)


def _quietly(cycle: Any, app: ASGIApp) -> ASGIApp:
    """A client that hung up is not logged as an error; one whose request the process's end cuts off gets a 503."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            cycle.keep_alive = False
            if cycle.response_started:
                cycle.transport.close()
                cycle.disconnected = True
            else:
                await send({"type": "http.response.start", "status": 503, "headers": [(b"content-length", b"0")]})
                await send({"type": "http.response.body", "body": b""})
        except Exception:
            if not cycle.disconnected:
                raise
            logger.debug("client disconnected", path=scope["path"])

    return run


class HttpServer(uvicorn.Server):
    """uvicorn, without its signals: the process decides when it ends."""

    server_state: State

    def __init__(
        self,
        app: ASGIApp,
        *,
        drain_timeout: float,
        limits: Limits | None = None,
        certificate: tuple[str, str] | None = None,
        websockets: Iterable[str] = (),
    ) -> None:
        """`certificate`: its file and that of its key, for https. `websockets`: how paths begin at which the application takes
        WebSockets."""
        cert, key = certificate or (None, None)
        paths = tuple(path.encode() for path in websockets)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", http=BoundedProtocol,
            server_header=False, timeout_keep_alive=KEEP_ALIVE, timeout_graceful_shutdown=math.ceil(drain_timeout),
            ssl_certfile=cert, ssl_keyfile=key, **(_websockets() if paths else {"ws": "none"}),
        )  # fmt: skip
        super().__init__(config)
        self.server_state = State(limits or Limits())
        self.server_state.websockets = paths
        self._swept = 0.0

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def drain(self) -> None:
        """Close idle connections, and the others after their next answer (`Connection: close`). New ones are still accepted."""
        self.server_state.draining = True
        for connection in list(self.server_state.connections):
            connection.shutdown()

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:
            self._sweep()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Time-outs hold to the end: otherwise a client that sends no more would use up the time for all others."""
        sweeping = asyncio.ensure_future(self._sweep_on())
        try:
            await super().shutdown(sockets)
        finally:
            sweeping.cancel()

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._sweep()

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            connection.sweep(now, now - self._swept if self._swept else 0.0)  # type: ignore[union-attr]
        self._swept = now


def _websockets() -> dict[str, Any]:
    from kilonova.core.web.websockets import SETTINGS, BoundedWebSocket  # most servers need none

    return {"ws": BoundedWebSocket, **SETTINGS}


def raise_open_files() -> int:
    """Take as many open files as the system gives us without asking; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return MOST_FILES if soft == resource.RLIM_INFINITY else soft
