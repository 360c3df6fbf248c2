"""memcached, over its text protocol.

Each server has one connection on which requests follow each other without waiting for the answers. A server from which nothing
comes for TIMEOUT while a caller waits is not asked for PAUSE seconds; then one request tries it again, while the others do
without."""

from __future__ import annotations

import asyncio
import hashlib
import math
import ssl
from collections import deque
from collections.abc import Sequence
from typing import cast

from kilonova.core import log
from kilonova.core.cache.base import Cache
from kilonova.core.clock import Clock
from kilonova.core.timeouts import within

logger = log.get("cache")
TIMEOUT = 0.25  # seconds: for a connection, and without data while a caller waits for an answer
PAUSE = 2.0
LONGEST = 30 * 86400  # seconds; memcached takes a larger number for a date
MAX_VALUE = 1_000_000  # bytes, what memcached takes with its defaults
MAX_KEY = 250
Values = dict[bytes, bytes]


class MemcachedCache(Cache):
    """`memcached://HOST:PORT[,HOST:PORT…]`. Every name is kept on one of the servers, the same for all processes; the names of
    an unreachable server are misses; no other server is asked for them, as it would have old values."""

    shared = True

    def __init__(
        self, servers: Sequence[tuple[str, int]], clock: Clock | None = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._servers = [_Server(host, port, clock or Clock(), tls) for host, port in servers]

    async def get_many(self, names: Sequence[str]) -> dict[str, bytes]:
        places: dict[_Server, dict[bytes, str]] = {}
        for name in names:
            places.setdefault(self._server(name), {})[_key(name)] = name
        found: dict[str, bytes] = {}
        for server, keys in places.items():
            values = await server.ask(b"get " + b" ".join(keys) + b"\r\n") or {}
            found |= {keys[key]: value for key, value in values.items() if key in keys}
        return found

    async def set(self, name: str, value: bytes, ttl: float) -> None:
        if len(value) > MAX_VALUE or ttl <= 0:
            await self.delete(name)  # an older value would be out of date
            return
        seconds = min(math.ceil(ttl), LONGEST)
        await self._server(name).ask(b"set %b 0 %d %d\r\n%b\r\n" % (_key(name), seconds, len(value), value))

    async def delete(self, name: str) -> None:
        await self._server(name).ask(b"delete %b\r\n" % _key(name))

    def reachable(self, name: str) -> bool:
        return self._server(name).reachable

    async def close(self) -> None:
        for server in self._servers:
            server.drop()

    def _server(self, name: str) -> _Server:
        """The one with the highest hash of itself and the name: a server more or less moves only its share."""
        if len(self._servers) == 1:
            return self._servers[0]
        return max(
            self._servers, key=lambda server: hashlib.blake2b(f"{server} {name}".encode(), digest_size=8).digest()
        )


def _key(name: str) -> bytes:
    """The name itself, or its hash where memcached would not take it."""
    key = name.encode(errors="surrogatepass")
    if 0 < len(key) <= MAX_KEY and all(33 <= letter < 127 for letter in key):
        return key
    return b"hash:" + hashlib.sha256(key).hexdigest().encode()


class _Server:
    """One memcached behind its circuit breaker."""

    def __init__(self, host: str, port: int, clock: Clock, tls: ssl.SSLContext | None) -> None:
        self._host, self._port, self._clock, self._tls = host, port, clock, tls
        self._connecting = asyncio.Lock()
        self._connection: _Connection | None = None
        self._alone_until = 0.0
        self._away = False

    def __str__(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def reachable(self) -> bool:
        return self._clock.monotonic() >= self._alone_until

    async def ask(self, request: bytes) -> Values | None:
        """The values of a get, {} after a set or delete, None when there was no answer."""
        if not self.reachable:
            return None
        if self._away:  # this one tries; the others do without until it knows
            self._alone_until = self._clock.monotonic() + PAUSE
        connection = None
        try:
            connection = await self._connected()
            answer = await connection.ask(request)
        except OSError as error:  # a ConnectionError and a TimeoutError are
            self._failed(connection, error)
            return None
        if self._away:
            self._away, self._alone_until = False, 0.0
            logger.info("memcached reachable again", server=str(self))
        return answer

    async def _connected(self) -> _Connection:
        async with self._connecting:
            if self._connection is not None and not self._connection.closed:
                return self._connection
            loop = asyncio.get_running_loop()
            _, connection = await within(
                TIMEOUT, loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
            )
            self._connection = connection
            return connection

    def _failed(self, connection: _Connection | None, error: Exception) -> None:
        if connection is not None:
            connection.close()  # what it still says would be the answer to an older question
            if connection is not self._connection:
                return  # of a connection that was given up before
        self._alone_until = self._clock.monotonic() + PAUSE
        if not self._away:
            self._away = True
            reason = str(error) or "no answer"
            logger.warning("memcached unreachable: working without it", server=str(self), error=reason)

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.close()


class _Connection(asyncio.Protocol):
    """Answers come in the order of the requests, so that the oldest waiting request is the one that is answered.

    One timer watches over all that wait. It looks twice: where our own loop was held up for longer than TIMEOUT, what came
    meanwhile is read between the two looks, and the server does not count as slow."""

    def __init__(self) -> None:
        self.closed = False
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[asyncio.Future[Values]] = deque()
        self._buffer = bytearray()
        self._values: Values = {}
        self._heard = 0
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes) -> Values:
        """Raises ConnectionError, TimeoutError."""
        if self.closed or self._transport is None:
            raise ConnectionError("closed")
        answer: asyncio.Future[Values] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        if self._timer is None:
            self._look_again(silent=0)
        self._transport.write(request)
        return await answer

    def _look_again(self, silent: int) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(TIMEOUT / 2, self._look, self._heard, silent)

    def _look(self, heard: int, silent: int) -> None:
        """`silent` looks before this one found that nothing had come since `heard`."""
        self._timer = None
        if not self._waiting:
            return
        if self._heard != heard:
            self._look_again(silent=0)
        elif silent == 0:
            self._look_again(silent=1)
        else:
            self._end(TimeoutError("no answer"))

    def close(self) -> None:
        self._end(ConnectionError("connection closed"))

    def _end(self, reason: OSError) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._settle(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def connection_lost(self, error: Exception | None) -> None:
        self._end(ConnectionError(str(error or "connection closed")))

    def data_received(self, data: bytes) -> None:
        self._heard += 1
        self._buffer += data
        try:
            while self._take():
                pass
        except (ValueError, IndexError):
            self.close()

    def _take(self) -> bool:
        """One line from the buffer, with the value that follows it; False when it is not whole yet. Raises ValueError for
        what memcached does not say."""
        end = self._buffer.find(b"\r\n")
        if end < 0:
            return False
        line = bytes(self._buffer[:end])
        start = stop = end + 2
        if line.startswith(b"VALUE "):
            _, key, _, size = line.split(b" ")
            stop = start + int(size)
            if len(self._buffer) < stop + 2:
                return False
            self._values[key] = bytes(self._buffer[start:stop])
            stop += 2
        elif line.startswith(b"SERVER_ERROR"):
            self._settle(ConnectionError(line.decode(errors="replace")))
        elif line in (b"END", b"STORED", b"NOT_STORED", b"DELETED", b"NOT_FOUND"):
            self._settle(self._values)
            self._values = {}
        else:
            raise ValueError(line)
        del self._buffer[:stop]
        return True

    def _settle(self, answer: Values | Exception) -> None:
        waiting = self._waiting.popleft()
        if waiting.done():
            return  # the caller has given up
        if isinstance(answer, Exception):
            waiting.set_exception(answer)
        else:
            waiting.set_result(answer)
