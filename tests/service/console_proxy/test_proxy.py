"""The proxy between a client and a relay that checks tickets: what passes, what is refused, and how much at once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from kilonova.compute.agent.transfers import DiskTransfers
from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.console_options import ConsoleOptions
from kilonova.compute.console_proxy.app import ConsoleProxyService
from kilonova.compute.models import ConsoleTicket
from kilonova.compute.virt.driver import VirtError
from kilonova.compute.virt.fake_consoles import PretendedConsole, PretendedTerminal, PretendedVnc
from kilonova.core.bus import MemoryBus
from kilonova.core.context import RequestContext
from kilonova.core.web.gateway import Gateway
from kilonova.core.web.relay import ByteStream
from kilonova.core.web.server import HttpServer
from kilonova.testing.certificates import make_certificates
from tests.eventually import PATIENCE, until
from tests.support import make_core

ORIGIN = "https://portal.example"


class Conductor:
    """Knows tokens, each for one console, and forgets those that it was asked for."""

    def __init__(self, transfers: DiskTransfers) -> None:
        self.transfers, self.asked = transfers, 0
        self.tokens: dict[str, tuple[str, Callable[[], PretendedConsole]]] = {}
        self.opened: list[PretendedConsole] = []
        self.go = asyncio.Event()
        self.go.set()

    def token(self, kind: str = "serial") -> str:
        token = f"{len(self.tokens):043}"
        self.tokens[token] = kind, lambda: PretendedVnc("vm") if kind == "vnc" else PretendedTerminal("vm")
        return token

    async def redeem_console(self, ctx: RequestContext, token: str) -> ConsoleTicket | None:
        self.asked += 1
        await self.go.wait()
        kind, make = self.tokens.get(token, ("", None))
        if make is None:
            return None
        self.tokens[token] = "", None  # type: ignore[assignment]
        made = make

        async def open() -> ByteStream:
            self.opened.append(made())
            if kind == "broken":
                raise VirtError("it went off")
            return self.opened[-1]

        return ConsoleTicket(url=self.transfers.console_url(), secret=self.transfers.consoles.offer(token, kind, open))


class Served:
    def __init__(self, path: Path, options: ConsoleOptions, transfers: DiskTransfers, **more: Any) -> None:
        self.bus, self.transfers = MemoryBus(), transfers
        core, _, _ = make_core(path, bus=self.bus)
        self.conductor = Conductor(self.transfers)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.where = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.proxy = ConsoleProxyService(core, options, f"http://{self.where}/console", **more)
        gateway = Gateway({})
        gateway.mount_service(self.proxy)
        self.server = HttpServer(gateway, drain_timeout=1, websockets=gateway.websockets)

    async def open(self, token: str, path: str = "/?token=", **more: Any) -> ClientConnection:
        url = f"ws://{self.where}/console{path}{token}"
        return await connect(url, proxy=None, open_timeout=PATIENCE, close_timeout=1, **more)

    async def status(self, token: str, path: str = "/?token=", **more: Any) -> int:
        """That a refusal has."""
        with pytest.raises(InvalidStatus) as error:
            await self.open(token, path, **more)
        assert error.value.response.body in (b"", None)
        return error.value.response.status_code


@contextlib.asynccontextmanager
async def serving(
    path: Path, transfers: DiskTransfers | None = None, verify: ssl.SSLContext | bool = True, **options: Any
) -> AsyncIterator[Served]:
    allowed = ConsoleOptions(allowed_origins=(ORIGIN,), **options)
    served = Served(path, allowed, transfers or DiskTransfers("127.0.0.1"), verify=verify)
    await served.transfers.start()
    await served.bus.serve(ConductorAPI, served.conductor, host="c")  # type: ignore[arg-type]
    serving = asyncio.ensure_future(served.server.serve(sockets=[served.listener]))
    await until(lambda: served.server.started)
    try:
        yield served
    finally:
        served.server.should_exit = True
        await serving
        await served.transfers.stop()
        await served.bus.close()


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as made:
        yield made


async def said(console: ClientConnection, words: bytes) -> None:
    seen = b""
    async with asyncio.timeout(PATIENCE):
        while words not in seen:
            piece = await console.recv()
            seen += piece if isinstance(piece, bytes) else piece.encode()


async def end_of(console: ClientConnection) -> str | None:
    with contextlib.suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(console.recv(), PATIENCE)
    return console.close_reason


@pytest.mark.parametrize("path", ["/?token=", "?token=", "/serial?token=", "/websockify?token="])
async def test_a_token_opens_a_console_once(served: Served, path: str) -> None:
    token = served.conductor.token()
    console = await served.open(token, path, subprotocols=["binary"])
    assert console.subprotocol == "binary"
    await console.send(b"who\r")
    await said(console, b"Hello, who")
    assert await served.status(token, path) == 403
    await console.close()
    await until(lambda: served.proxy._open == 0)


async def test_a_token_of_a_cookie(served: Served) -> None:
    token = served.conductor.token("vnc")
    console = await served.open("", "/", additional_headers={"Cookie": f"token={token}"})
    assert await console.recv() == b"RFB 003.008\n"
    assert console.subprotocol is None
    await console.close()


async def test_tokens_that_are_none_are_not_asked_for(served: Served) -> None:
    token = served.conductor.token()
    for bad in ("", "x", token[1:], f"bad{token}", token[:-1] + "%20", "%00" * 43):
        assert await served.status(bad) == 403
    assert await served.status(token, "/other?token=") == 403
    assert served.conductor.asked == 0
    assert await served.status("y" * 43) == 403


async def test_pages_of_others_get_nothing(served: Served) -> None:
    token = served.conductor.token()
    for origin in ("http://evil.example", "null", f"https://{served.where}.evil", "http://127.0.0.1:1"):
        assert await served.status(token, origin=origin) == 403
    assert served.conductor.asked == 0, "the token is still good"
    await (await served.open(token, origin=f"http://{served.where}")).close()
    await (await served.open(served.conductor.token(), origin=ORIGIN)).close()


async def test_a_console_that_ends_says_why(served: Served) -> None:
    console = await served.open(served.conductor.token())
    await said(console, b"login")
    served.conductor.opened[0].end()
    assert await end_of(console) == "the console has ended"


async def test_a_client_that_leaves_frees_the_console(served: Served) -> None:
    console = await served.open(served.conductor.token())
    await said(console, b"login")
    console.transport.abort()
    await until(lambda: served.conductor.opened[0]._closed)
    await until(lambda: served.proxy._open == 0)


async def test_a_guest_that_goes_off_in_between(served: Served) -> None:
    assert await served.status(served.conductor.token("broken")) == 502


async def test_a_host_and_a_conductor_that_are_away(served: Served) -> None:
    token = served.conductor.token()
    await served.transfers.stop()
    assert await served.status(token) == 502
    await served.bus.withdraw(ConductorAPI, host="c")
    assert await served.status(served.conductor.token()) == 503
    assert served.proxy._open == 0


async def test_hosts_prove_who_they_are(tmp_path: Path) -> None:
    """Where they have certificates, a proxy that does not know their authority gives them no ticket."""
    make_certificates(tmp_path, "127.0.0.1")
    certificate = str(tmp_path / "server.pem"), str(tmp_path / "server.key")
    trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    async with serving(tmp_path, DiskTransfers("127.0.0.1", certificate=certificate), trusting) as served:
        assert served.transfers.console_url().startswith("wss://127.0.0.1:")
        console = await served.open(served.conductor.token())
        await said(console, b"login")
        await console.close()
    async with serving(tmp_path, DiskTransfers("127.0.0.1", certificate=certificate)) as served:
        assert await served.status(served.conductor.token()) == 502
        assert served.conductor.opened == []


async def test_consoles_are_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path, connections=2) as served:
        consoles = [await served.open(served.conductor.token()) for _ in range(2)]
        token = served.conductor.token()
        assert await served.status(token) == 503
        await consoles[0].close()
        await until(lambda: served.proxy._open == 1)
        await (await served.open(token)).close()
        await consoles[1].close()


async def test_a_flood_of_tokens_is_bounded(served: Served) -> None:
    """While the conductor is slow, so many are asked for at once; the others are refused at once."""
    served.conductor.go.clear()
    flood = [asyncio.ensure_future(served.status(f"{n:043}")) for n in range(100, 160)]
    await until(lambda: served.conductor.asked == 32 and sum(one.done() for one in flood) == 28)
    served.conductor.go.set()
    answers = await asyncio.gather(*flood)
    assert (answers.count(403), answers.count(503)) == (32, 28)
    await (await served.open(served.conductor.token())).close()


async def test_a_console_has_its_time(tmp_path: Path) -> None:
    async with serving(tmp_path, session_timeout=0.05) as served:
        console = await served.open(served.conductor.token())
        assert await end_of(console) == "the time of this console is over"


async def test_pages_and_what_they_load(served: Served) -> None:
    async with httpx.AsyncClient(base_url=f"http://{served.where}/console", trust_env=False) as client:
        for path, word in (("/vnc_lite.html", "noVNC"), ("/vnc_auto.html", "noVNC"), ("/serial", "xterm")):
            page = await client.get(path, params={"token": "x" * 43})
            assert page.status_code == 200
            assert word in page.text
            assert "<script " in page.text
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'; script-src 'self';" in policy
            assert policy.endswith(f"frame-ancestors 'self' {ORIGIN}")
            assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer")
        script = await client.get("/packages/novnc/core/rfb.js")
        assert script.headers["content-type"] == "text/javascript; charset=utf-8"
        assert script.headers["x-content-type-options"] == "nosniff"
        known = await client.get("/packages/novnc/core/rfb.js", headers={"If-None-Match": script.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        head = await client.head("/vnc.js")
        assert (head.status_code, head.content) == (200, b"")
        for missing in (
            "/",
            "/vnc.html",
            "/app.py",
            "/packages/novnc/../../app.py",
            "/packages/novnc.zip",
            "/serial/x",
        ):
            assert (await client.get(missing)).status_code in (400, 404), missing
        assert (await client.post("/serial")).status_code == 405


def test_licences_and_versions_are_kept() -> None:
    from tools.vendor_pages import PACKAGES, TARGET, contents

    assert {path.stem for path in TARGET.iterdir()} == PACKAGES.keys()
    for name, (npm_name, version, _) in PACKAGES.items():
        files = contents((TARGET / f"{name}.zip").read_bytes())
        assert any(file.startswith("LICENSE") for file in files)
        assert f'"name": "{npm_name}"'.encode() in files["package.json"]
        assert f'"version": "{version}"'.encode() in files["package.json"]
