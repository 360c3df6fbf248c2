"""Bytes from a WebSocket to a stream and back, until one of them ends."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

CHUNK = 64 << 10  # bytes that one read gives at most
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
POLICY, GOING_AWAY, NORMAL = 1008, 1001, 1000
"""Codes of closing."""


class ByteStream(Protocol):
    """A connection. `read` and `write` may each be called by one task at a time. `reason`: why it ended, where that is known."""

    reason: str = ""

    @abstractmethod
    async def read(self) -> bytes:
        """What comes next, at most CHUNK bytes; b"" at the end."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Returns when the other side has taken the data, or soon will; raises OSError when it is gone."""

    @abstractmethod
    async def close(self) -> None:
        """Repeating it is harmless."""


async def relay(receive: Receive, send: Send, stream: ByteStream, *, timeout: float | None = None) -> None:
    """Of an accepted WebSocket. It is closed with the stream, the stream with it, and both after `timeout` seconds. Neither side
    is read faster than the other one takes."""
    up, down = asyncio.ensure_future(_up(receive, stream)), asyncio.ensure_future(_down(stream, send))
    code, reason = NORMAL, "the console has ended"
    try:
        done, _ = await asyncio.wait([up, down], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            code, reason = POLICY, "the time of this console is over"
        elif stream.reason:
            reason = stream.reason
    except asyncio.CancelledError:
        code, reason = POLICY, "the console was opened again elsewhere"
        raise
    finally:
        for way in (up, down):
            way.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        await stream.close()
        with contextlib.suppress(OSError, RuntimeError):  # it is closed already
            await send({"type": "websocket.close", "code": code, "reason": reason})


async def _up(receive: Receive, stream: ByteStream) -> None:
    while (message := await receive())["type"] == "websocket.receive":
        data = message.get("bytes")
        if data is None:
            data = (message.get("text") or "").encode()
        if data:
            await stream.write(data)


async def _down(stream: ByteStream, send: Send) -> None:
    while data := await stream.read():
        await send({"type": "websocket.send", "bytes": data})
