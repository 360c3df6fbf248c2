"""The console proxy as a service: it exchanges a token for a ticket at the conductor, and relays to the guest's host.

It keeps no state: any number of proxies serve one cloud, behind any balancer."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.console_options import ConsoleOptions
from kilonova.compute.console_proxy.pages import Pages
from kilonova.compute.console_proxy.requests import comes_from_us, token_of
from kilonova.compute.models import ConsoleTicket
from kilonova.core import errors, log
from kilonova.core.context import service_context
from kilonova.core.service import Core
from kilonova.core.web.app import Route
from kilonova.core.web.relay import CHUNK, ByteStream, relay
from kilonova.core.web.websockets import QUIET

SOCKETS = ("/", "/serial", "/websockify")
"""Paths of WebSockets; the last one is that of other servers of noVNC."""
FORBIDDEN, BUSY, AWAY = 403, 503, 502
ASKING = 32  # tokens that are checked at once
CONNECT_TIMEOUT = 10.0  # seconds to reach the guest's host
logger = log.get("console_proxy")


class ConsoleProxyService:
    """`base` is the URL that clients reach it by, `verify` says which certificates of hosts are believed."""

    prefix = "/console"
    websockets = True
    routes: tuple[Route, ...] = ()

    def __init__(self, core: Core, options: ConsoleOptions, base: str, *, verify: ssl.SSLContext | bool = True) -> None:
        self.core, self.options, self.base = core, options, base
        self.app = self
        self._pages = Pages(options.allowed_origins)
        self._conductor = core.bus.client(ConductorAPI)
        self._verify = verify if isinstance(verify, ssl.SSLContext) else None
        self._open = 0
        self._asking = asyncio.Semaphore(ASKING)

    async def start(self) -> None:
        return

    async def stop(self) -> None:
        return

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        else:
            await self._pages.answer(scope, send)

    async def _socket(self, scope: Any, receive: Any, send: Any) -> None:
        """Refusals have no body: what a client makes of one differs."""
        token = token_of(scope)
        if token is None or scope["path"] not in SOCKETS or not self._comes_from_us(scope):
            await _refuse(send, FORBIDDEN)
        elif self._open >= self.options.connections or self._asking.locked():
            logger.warning("console refused: too many", open=self._open)
            await _refuse(send, BUSY)
        else:
            self._open += 1
            try:
                await self._console(token, scope, receive, send)
            finally:
                self._open -= 1

    def _comes_from_us(self, scope: Any) -> bool:
        return comes_from_us(scope, self.base, self.options.allowed_origins)

    async def _console(self, token: str, scope: Any, receive: Any, send: Any) -> None:
        try:
            async with self._asking:
                ctx = service_context("req-" + self.core.clock.uuid())
                ticket = await self._conductor.redeem_console(ctx, token)
        except errors.KilonovaError as error:
            logger.warning("token not checked", reason=error.message)
            await _refuse(send, BUSY)
            return
        if ticket is None:
            await _refuse(send, FORBIDDEN)
            return
        try:
            stream = await HostStream.open(ticket, self._verify)
        except (OSError, TimeoutError, InvalidHandshake) as error:
            logger.warning("host not reached", url=ticket.url, reason=str(error) or type(error).__name__)
            await _refuse(send, AWAY)
            return
        await receive()
        offered = "binary" if "binary" in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": offered})
        await relay(receive, send, stream, timeout=self.options.session_timeout or None)


class HostStream(ByteStream):
    """A console, by way of its host's relay."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, ticket: ConsoleTicket, tls: ssl.SSLContext | None) -> HostStream:
        """Raises OSError, TimeoutError, InvalidHandshake."""
        connection = await connect(
            ticket.url, additional_headers={"Authorization": f"Bearer {ticket.secret}"}, compression=None, proxy=None,
            open_timeout=CONNECT_TIMEOUT, close_timeout=1.0, max_size=2 * CHUNK, logger=QUIET,
            ssl=(tls or True) if ticket.url.startswith("wss:") else None,
        )  # fmt: skip
        return cls(connection)

    async def read(self) -> bytes:
        try:
            data = await self._connection.recv()
        except ConnectionClosed as error:
            self.reason = error.rcvd.reason if error.rcvd is not None else ""
            return b""
        return data if isinstance(data, bytes) else data.encode()

    async def write(self, data: bytes) -> None:
        try:
            await self._connection.send(data)
        except ConnectionClosed as error:
            raise BrokenPipeError(str(error)) from None

    async def close(self) -> None:
        await self._connection.close()


async def _refuse(send: Any, status: int) -> None:
    await send({"type": "websocket.http.response.start", "status": status, "headers": []})
    await send({"type": "websocket.http.response.body", "body": b""})
