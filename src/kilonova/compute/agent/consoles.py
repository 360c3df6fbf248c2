"""Consoles of the guests of this process's hosts, for the console proxies: a WebSocket on the listener that serves disks too.

A proxy may open one with a ticket, which the conductor gets for it over the bus: of use once, soon, and for one console."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from kilonova.compute.errors import ConsoleTypeUnavailable, GuestMissing, NotSupported
from kilonova.compute.models import ConsolePlace, ConsoleTicket
from kilonova.compute.virt.capabilities import ConsoleEndpoint, OffersConsoles
from kilonova.compute.virt.driver import GuestNotFound, VirtDriver, VirtError
from kilonova.core import log
from kilonova.core.clock import Clock
from kilonova.core.web.relay import ByteStream, relay

PATH = "/consoles"
TICKET_LIFE = 30.0  # seconds
MOST_TICKETS = 1000  # that wait to be used; the oldest goes for a new one
ALONE = ("serial",)
"""Kinds of consoles that one client at a time can use: what the guest writes would be divided between several."""
logger = log.get("agent.consoles")


@dataclass(frozen=True)
class Ticket:
    """`until` is monotonic."""

    server_id: str
    kind: str
    open: Callable[[], Awaitable[ByteStream]]
    until: float


class ConsoleRelays:
    """An ASGI application for WebSockets, and the tickets that it takes."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._tickets: dict[bytes, Ticket] = {}
        self._alone: dict[tuple[str, str], asyncio.Task[None]] = {}

    def offer(self, server_id: str, kind: str, open: Callable[[], Awaitable[ByteStream]]) -> str:
        """The secret of a new ticket for what `open` connects to."""
        while len(self._tickets) >= MOST_TICKETS:
            del self._tickets[next(iter(self._tickets))]
        secret = self.clock.secret(32)
        self._tickets[_digest(secret)] = Ticket(server_id, kind, open, self.clock.monotonic() + TICKET_LIFE)
        return secret

    def _taken(self, secret: str) -> Ticket | None:
        ticket = self._tickets.pop(_digest(secret), None)
        return ticket if ticket is not None and self.clock.monotonic() < ticket.until else None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        secret = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
        ticket = self._taken(secret) if scope["path"] == PATH else None
        stream: ByteStream | None = None
        if ticket is not None:
            try:
                stream = await ticket.open()
            except VirtError as error:
                logger.warning("console not opened", server=ticket.server_id, kind=ticket.kind, error=str(error))
        if ticket is None or stream is None:
            await send({"type": "websocket.close"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        logger.info("console opened", server=ticket.server_id, kind=ticket.kind)
        await self._relayed(ticket, relay(receive, send, stream))
        logger.info("console closed", server=ticket.server_id, kind=ticket.kind)

    async def _relayed(self, ticket: Ticket, work: Any) -> None:
        """A new client of a console for one alone takes it from the one before."""
        task, key = asyncio.ensure_future(work), (ticket.server_id, ticket.kind)
        if ticket.kind in ALONE:
            if key in self._alone:
                self._alone[key].cancel()
            self._alone[key] = task
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
            if self._alone.get(key) is task:
                del self._alone[key]


class Consoles:
    """Those of one host. `url` is where the relays are reached, "" where they are not."""

    def __init__(self, driver: VirtDriver, relays: ConsoleRelays, url: Callable[[], str]) -> None:
        self.driver, self.relays, self.url = driver, relays, url

    async def find(self, server_id: str, kind: str) -> ConsolePlace:
        """Raises NotSupported, ConsoleTypeUnavailable, GuestMissing."""
        endpoint = await self._endpoint(self._offers(), server_id, kind)
        return ConsolePlace(url=self.url(), life=endpoint.life)

    async def open(self, server_id: str, kind: str, life: str) -> ConsoleTicket:
        """Raises as `find` does, ConsoleTypeUnavailable also where the guest was switched off since that."""
        driver = self._offers()
        endpoint = await self._endpoint(driver, server_id, kind)
        if endpoint.life != life:
            raise ConsoleTypeUnavailable(console_type=kind)
        secret = self.relays.offer(server_id, kind, partial(driver.open_console, endpoint))
        return ConsoleTicket(url=self.url(), secret=secret)

    def _offers(self) -> OffersConsoles:
        if not isinstance(self.driver, OffersConsoles):
            raise NotSupported()
        return self.driver

    async def _endpoint(self, driver: OffersConsoles, server_id: str, kind: str) -> ConsoleEndpoint:
        try:
            if self.url():
                return await driver.console(server_id, kind)
        except GuestNotFound:
            raise GuestMissing(server_id=server_id) from None
        except VirtError as error:
            logger.info("console not available", server=server_id, kind=kind, reason=str(error))
        raise ConsoleTypeUnavailable(console_type=kind)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
