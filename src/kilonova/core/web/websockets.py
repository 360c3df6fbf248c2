"""WebSockets of the HTTP server: uvicorn's protocol, counted and bounded as all connections are.

A message is at most 1 MiB; the client is read only as fast as the application takes its messages. One that answers no ping, or
takes nothing of what it is sent for a minute, is cut off."""

from __future__ import annotations

import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kilonova.core.web.server import WRITE_TIMEOUT, BoundedProtocol

MESSAGE_SIZE = 1 << 20  # bytes
PING_EVERY = PONG_TIMEOUT = 20.0  # seconds
SETTINGS: dict[str, Any] = {
    "ws_max_size": MESSAGE_SIZE, "ws_ping_interval": PING_EVERY, "ws_ping_timeout": PONG_TIMEOUT,
    "ws_per_message_deflate": False,
}  # fmt: skip
"""Without compression: what consoles show is compressed, or changes too little to be worth memory for each connection."""
QUIET = logging.getLogger("kilonova.websockets")
QUIET.setLevel(logging.ERROR)  # the other levels show whole URLs, with the tokens in them


class BoundedWebSocket(WebSocketsSansIOProtocol):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.logger, self.conn.debug = QUIET, False
        self._http: BoundedProtocol | None = None
        self._unsent, self._unsent_since = 0, 0.0

    def connection_made(self, transport: Any) -> None:
        """The transport's protocol is still that of the request that asked for the upgrade."""
        self._http = transport.get_protocol()
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._http is not None:
            self._http.server_state.forget(self._http)
        super().connection_lost(exc)

    def sweep(self, now: float, passed: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent != self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since > WRITE_TIMEOUT:
            self.transport.abort()
