"""Guests on their way from host to host: a listener for the hosts of a process, which leads connections of the old host to unix
sockets of the new one. So hypervisors reach each other although each of them listens on unix sockets alone, and only for a
move whose secret both hosts were given.

A connection begins with one line, `MIGRATION SECRET WAY`, and is answered `ok`; bytes follow, both ways. The way RUN has no
socket: the guest is let run, and the answer says so."""

from __future__ import annotations

import asyncio
import hmac
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from kilonova.core import log

RUN = "run"
HELLO_TIMEOUT = 20.0  # seconds for the first line and its answer
PIECE = 1 << 18
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}  # a host that lost its power sends nothing
logger = log.get("agent.relay")
Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


class RelayError(Exception):
    """The other host's relay is not there, or refuses."""


@dataclass(frozen=True)
class Expected:
    """A guest that may come: way → socket here, and what lets it run."""

    secret: str
    ways: Mapping[str, Path]
    run: Callable[[], Awaitable[None]]
    open: set[asyncio.Task[None]] = field(default_factory=set)


class Relay:
    """Listens at `address` and `port` (0: any that is free) from the first guest that is expected on; `certificate` and its key
    make that TLS, and `verify` says which certificates of others are believed."""

    def __init__(
        self, address: str = "127.0.0.1", port: int = 0, *, certificate: tuple[str, str] | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:  # fmt: skip
        self._at, self._certificate, self._verify = (address, port), certificate, verify
        self._expected: dict[str, Expected] = {}
        self._server: asyncio.Server | None = None
        self._starting = asyncio.Lock()
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Nothing: it listens when it must."""

    async def stop(self) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            self._server.close()
            self._server = None

    # ---- the new host

    async def expect(
        self, migration: str, secret: str, ways: Mapping[str, Path], run: Callable[[], Awaitable[None]]
    ) -> str:
        """Lead connections of this move to its ways; where they are to come to (HOST:PORT)."""
        self._expected[migration] = Expected(secret, ways, run)
        async with self._starting:
            if self._server is None:
                context = None
                if self._certificate is not None:
                    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                    context.load_cert_chain(*self._certificate)
                self._server = await asyncio.start_server(self._accept, *self._at, ssl=context)
        address, port = self._at[0], self._server.sockets[0].getsockname()[1]
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

    def forget(self, migration: str) -> None:
        """No connection of this move is led anywhere any more; those that there are end."""
        held = self._expected.pop(migration, None)
        for task in held.open if held is not None else ():
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker
        self._connections.add(task)
        try:
            await self._serve(reader, writer, task)
        except (OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            logger.info("connection ended", reason=str(error) or type(error).__name__)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: asyncio.Task[None]
    ) -> None:
        async with asyncio.timeout(HELLO_TIMEOUT):
            line = await reader.readline()
        migration, secret, way = line.decode("latin-1").split()
        held = self._expected.get(migration)
        if held is None or not hmac.compare_digest(held.secret.encode(), secret.encode()):
            logger.warning("connection refused: no such guest is expected", migration=migration)
            return
        if way == RUN:
            await held.run()
            writer.write(b"ok\n")
            await writer.drain()
            return
        held.open.add(task)
        try:
            _keep_alive(writer)
            near = await asyncio.open_unix_connection(str(held.ways[way]))
            writer.write(b"ok\n")
            await _join((reader, writer), near)
        except KeyError:
            logger.warning("connection refused: no such way", migration=migration, way=way)
        finally:
            held.open.discard(task)

    # ---- the old host

    @asynccontextmanager
    async def ways(self, relay: str, migration: str, secret: str, names: Mapping[str, Path]) -> AsyncIterator[None]:
        """While the block lasts, these unix sockets (by way) lead to the other host's of the same names."""
        joined: set[asyncio.Task[None]] = set()

        async def lead(way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None  # noqa: S101 - for the type checker
            joined.add(task)
            try:
                await _join((reader, writer), await self._connect(relay, migration, secret, way))
            except (OSError, RelayError, TimeoutError) as error:
                logger.warning("connection to the other host ended", way=way, reason=str(error))
            finally:
                joined.discard(task)
                writer.close()

        async with AsyncExitStack() as stack:
            for way, path in names.items():
                path.unlink(missing_ok=True)
                server = await asyncio.start_unix_server(partial(lead, way), str(path))
                stack.callback(path.unlink, missing_ok=True)
                stack.callback(server.close)
                path.chmod(0o666)  # its folder says who reaches it
            try:
                yield
            finally:
                for task in joined:
                    task.cancel()
                await asyncio.gather(*joined, return_exceptions=True)

    async def run(self, relay: str, migration: str, secret: str) -> None:
        """Let the guest run that has come there. Raises RelayError, OSError."""
        _, writer = await self._connect(relay, migration, secret, RUN)
        writer.close()

    async def _connect(
        self, relay: str, migration: str, secret: str, way: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = relay.rpartition(":")
        tls = self._verify if isinstance(self._verify, ssl.SSLContext) else ssl.create_default_context()
        async with asyncio.timeout(HELLO_TIMEOUT):
            reader, writer = await asyncio.open_connection(
                host.strip("[]"), int(port), ssl=tls if self._certificate is not None else None
            )
            try:
                _keep_alive(writer)
                writer.write(f"{migration} {secret} {way}\n".encode())
                answer = await reader.readline()
            except BaseException:
                writer.close()
                raise
        if answer != b"ok\n":
            writer.close()
            raise RelayError(f"the host at {relay} does not await this guest")
        return reader, writer


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def _join(one: Streams, other: Streams) -> None:
    """Bytes both ways until both ends are done, or one is lost."""
    try:
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(one[0], other[1]))
            both.create_task(_pump(other[0], one[1]))
    except* OSError as errors:
        logger.info("connection lost", reason=str(errors.exceptions[0]))
    finally:
        for _, writer in (one, other):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    with suppress(OSError, NotImplementedError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS has no half of a connection


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    held = writer.get_extra_info("socket")
    if held is None or held.family == socket.AF_UNIX:
        return
    held.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        held.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
