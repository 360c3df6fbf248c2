"""QMP, the language in which QEMU's programs are given orders: one connection, one order after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from kilonova.core.block.errors import DiskError

TIMEOUT = 30.0
"""Seconds for a connection and for each order; the monitor serves one connection at a time."""


class QmpError(DiskError):
    """The program refused; `kind` is the class of its error."""

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind


class Qmp:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: str) -> None:
        self._reader, self._writer, self._what = reader, writer, what

    async def do(self, command: str, **arguments: Any) -> Any:
        """What the order returns; a `_` in an argument's name is a `-`. Raises QmpError."""
        plain = {name.replace("_", "-"): value for name, value in arguments.items()}
        order = {"execute": command, "arguments": plain}
        self._writer.write(msgspec.json.encode(order) + b"\n")
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._writer.drain()
                answer = await self._answer()
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise QmpError(f"{self._what}: {command}: {error or 'no answer'}") from error
        if "error" in answer:
            raise QmpError(f"{self._what}: {command}: {answer['error']['desc']}", answer["error"]["class"])
        return answer["return"]

    async def greet(self) -> None:
        await self._line()
        await self.do("qmp_capabilities")

    async def _answer(self) -> dict[str, Any]:
        """The next line that is no event."""
        while True:
            line = await self._line()
            if "event" not in line:
                return line

    async def _line(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(await self._reader.readuntil(b"\n"))
        return found


@asynccontextmanager
async def connected(socket: Path, what: str) -> AsyncIterator[Qmp]:
    """A connection to the monitor at `socket`; raises QmpError, whose text begins with `what`."""
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 20)
    except (OSError, TimeoutError) as error:
        raise QmpError(f"{what}: {error or 'no answer'}") from error
    try:
        qmp = Qmp(reader, writer, what)
        await qmp.greet()
        yield qmp
    finally:
        writer.close()
