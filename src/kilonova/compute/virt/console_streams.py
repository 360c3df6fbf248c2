"""Byte streams to guests' consoles: a unix socket or a terminal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from kilonova.core.web.relay import CHUNK, ByteStream

Watch = Callable[[int, Callable[[], object]], Any]
Forget = Callable[[int], bool]
Check = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """Checks nothing."""


class SocketStream(ByteStream):
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, path: Path, check: Check = nothing) -> SocketStream:
        """Raises OSError, and what `check` raises, which is asked before anything is read or written."""
        stream = cls(*await asyncio.open_unix_connection(str(path)))
        try:
            await check()
        except BaseException:
            await stream.close()
            raise
        return stream

    async def read(self) -> bytes:
        return await self._reader.read(CHUNK)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class TerminalStream(ByteStream):
    """A pseudo-terminal whose other side is the hypervisor's. Without a reader what the guest writes is in its log alone."""

    def __init__(self, terminal: int) -> None:
        self._terminal, self._loop = terminal, asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()

    @classmethod
    async def open(cls, path: Path, check: Check = nothing) -> TerminalStream:
        """Raises OSError, and what `check` raises, which is asked before anything is read, written or changed."""
        terminal = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            await check()
            tty.setraw(terminal)
        except termios.error as error:
            os.close(terminal)
            raise OSError(*error.args) from None
        except BaseException:
            os.close(terminal)
            raise
        return cls(terminal)

    async def read(self) -> bytes:
        while self._terminal >= 0:
            try:
                return os.read(self._terminal, CHUNK)
            except BlockingIOError:
                await self._until(self._loop.add_reader, self._loop.remove_reader)
            except OSError:  # EIO: the other side was closed
                break
        return b""

    async def write(self, data: bytes) -> None:
        while data:
            if self._terminal < 0:
                raise BrokenPipeError("the terminal is closed")
            try:
                data = data[os.write(self._terminal, data) :]
            except BlockingIOError:
                await self._until(self._loop.add_writer, self._loop.remove_writer)

    async def close(self) -> None:
        if self._terminal >= 0:
            terminal, self._terminal = self._terminal, -1
            for ready in self._waiting:
                ready.cancel()
            self._loop.remove_reader(terminal)
            self._loop.remove_writer(terminal)
            os.close(terminal)

    async def _until(self, watch: Watch, forget: Forget) -> None:
        """Until the terminal is ready, or closed."""
        terminal, ready = self._terminal, self._loop.create_future()
        self._waiting.add(ready)
        watch(terminal, ready.cancel)
        try:
            await asyncio.wait([ready])
        finally:
            self._waiting.discard(ready)
            if self._terminal == terminal:
                forget(terminal)
