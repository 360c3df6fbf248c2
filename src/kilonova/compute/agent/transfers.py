"""Disks from host to host: one HTTP listener for the hosts of a process, which serves what was set aside of a server to the host
that takes it over. The conductor says to whom: each move has a secret that only the two hosts get. Guests' consoles are served to
the console proxies by the same listener (consoles.py)."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

from kilonova.compute.agent.consoles import PATH, ConsoleRelays
from kilonova.compute.virt.disks import DiskStore
from kilonova.core import errors, log
from kilonova.core.block.errors import DiskError
from kilonova.core.clock import SYSTEM, Clock
from kilonova.core.web.server import HttpServer


class SourceAway(DiskError):
    """The old host can't serve now: its agent may be starting."""


MIGRATION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SILENCE = 60.0  # seconds without a byte after which a transfer has failed
logger = log.get("agent.transfers")
AskedFor = Callable[[str, str], Awaitable[str | None]]
"""(migration, secret) → the server that may be taken, or None."""


FORM, LOG = "form", "log"
KINDS: dict[str, Callable[[DiskStore, str, str], AsyncIterator[bytes]]] = {
    "": lambda store, server, migration: store.pack(server, migration),
    FORM: lambda store, server, _: store.pack_form(server),
    LOG: lambda store, server, _: store.pack_log(server),
}
"""What is served of a server: what was set aside, the form of its disks, its console's log."""


@dataclass(frozen=True)
class Source:
    """A host of this process."""

    store: DiskStore
    asked_for: AskedFor


class DiskTransfers:
    """Listens at `address` and `port` (0: any that is free) once it is started; `certificate` and its key make that https, and
    `verify` says which ones of others are believed. Without a start it only fetches."""

    def __init__(
        self, address: str = "", port: int = 0, *, certificate: tuple[str, str] | None = None,
        verify: ssl.SSLContext | bool = True, clock: Clock = SYSTEM,
    ) -> None:  # fmt: skip
        self._at, self._certificate, self._verify = (address, port), certificate, verify
        self._sources: dict[str, Source] = {}
        self._server: HttpServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._base = ""
        self.consoles = ConsoleRelays(clock)

    def add(self, host: str, store: DiskStore, asked_for: AskedFor) -> None:
        self._sources[host] = Source(store, asked_for)

    def url(self, host: str) -> str:
        """Where the host's disks are served; "" where they are not."""
        return f"{self._base}/{host}" if self._base and host in self._sources else ""

    def console_url(self) -> str:
        """Where the guests' consoles are served; "" where they are not."""
        return f"ws{self._base.removeprefix('http')}{PATH}" if self._base else ""

    async def start(self) -> None:
        address, port = self._at
        kind = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port), family=kind)
        shown = f"[{address}]" if kind == socket.AF_INET6 else address
        self._base = f"{'https' if self._certificate else 'http'}://{shown}:{listener.getsockname()[1]}"
        self._server = HttpServer(self, drain_timeout=1.0, certificate=self._certificate, websockets=[PATH])
        self._serving = asyncio.ensure_future(self._server.serve(sockets=[listener]))

    async def stop(self) -> None:
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving

    # ---- serving

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """`GET /HOST/MIGRATION`, with the secret as a bearer token; `…/form` while the guest runs, `…/log` when it is gone."""
        if scope["type"] == "websocket":
            await self.consoles(scope, receive, send)
            return
        host, _, migration = scope["path"].strip("/").partition("/")
        migration, _, kind = migration.partition("/")
        secret = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ")
        source, status = self._sources.get(host), 404
        server = None
        try:
            if source is not None and secret and kind in KINDS and MIGRATION.fullmatch(migration):
                server = await source.asked_for(migration, secret)
        except errors.KilonovaError as error:
            logger.warning("disks not served", host=host, migration=migration, error=error.message)
            status = 503
        if source is None or server is None or scope["method"] != "GET":
            await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        logger.info("disks served", server=server, host=host, migration=migration)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async for part in KINDS[kind](source.store, server, migration):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    # ---- fetching

    async def fetch(self, url: str, migration: str, secret: str, *, kind: str = "") -> AsyncIterator[bytes]:
        """The packed disks, or what else `kind` says; raises SourceAway, or DiskError where another try is of no use."""
        try:
            async with (
                httpx.AsyncClient(verify=self._verify, trust_env=False, timeout=SILENCE) as client,
                client.stream(
                    "GET", f"{url}/{migration}/{kind}".rstrip("/"), headers={"Authorization": f"Bearer {secret}"}
                ) as answer,
            ):
                if answer.status_code == 503:
                    raise SourceAway(f"copying disks: {url} answers 503")
                if answer.status_code != 200:
                    raise DiskError(f"copying disks: {url} answers {answer.status_code}")
                async for part in answer.aiter_raw():
                    yield part
        except httpx.HTTPError as error:
            raise SourceAway(f"copying disks from {url}: {type(error).__name__}: {error}") from error
