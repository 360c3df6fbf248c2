"""Consoles as programs use them: URLs of the API, and the WebSockets behind them."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.eventually import PATIENCE
from tests.process.cloud.harness import Api


def url_of(api: Api, server: str, protocol: str, kind: str) -> str:
    body = {"remote_console": {"protocol": protocol, "type": kind}}
    return str(api.ok("POST", "compute", f"/servers/{server}/remote-consoles", body)["remote_console"]["url"])


def vnc(api: Api, server: str) -> str:
    return url_of(api, server, "vnc", "novnc")


def serial(api: Api, server: str) -> str:
    return url_of(api, server, "serial", "serial")


def opened(url: str) -> ClientConnection:
    """The WebSocket that the URL, or the page at it, leads to."""
    where = urlsplit(url)
    if path := parse_qs(where.query).get("path"):
        url = f"ws://{where.netloc}/{path[0]}"
    return connect(url, proxy=None, open_timeout=PATIENCE)


def refused(url: str) -> int:
    with pytest.raises(InvalidStatus) as error:
        opened(url)
    return error.value.response.status_code


def end_of(console: ClientConnection) -> str | None:
    try:
        while True:
            console.recv(timeout=PATIENCE)
    except ConnectionClosed:
        return console.close_reason


def said(console: ClientConnection, words: bytes) -> None:
    """Wait until the console has said them."""
    seen = b""
    while words not in seen:
        piece = console.recv(timeout=PATIENCE)
        seen += piece if isinstance(piece, bytes) else piece.encode()
