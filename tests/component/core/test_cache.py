"""One conformance suite for every cache, and what memcached and the seal promise besides."""

from __future__ import annotations

import asyncio
import socket
import socketserver
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from kilonova.core.cache import Cache, MemcachedCache, MemoryCache, SealedCache, open_cache
from kilonova.core.cache.memcached import MAX_VALUE, TIMEOUT
from kilonova.testing.engines import Memcached
from tests.eventually import until
from tests.service.identity.conftest import MovedClock

pytestmark = pytest.mark.usefixtures("patient")
KINDS = [
    "memory",
    pytest.param("memcached", marks=pytest.mark.engine),
    "sealed-memory",
    pytest.param("sealed-memcached", marks=pytest.mark.engine),
]


@pytest.fixture(params=KINDS)
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    made: Cache
    if "memcached" in request.param:
        engine = request.getfixturevalue("memcached")
        made = MemcachedCache([(engine.address, engine.port)])
    else:
        made = MemoryCache()
    if request.param.startswith("sealed"):
        made = SealedCache(made, request.node.name)
    yield made
    await made.close()


async def test_what_is_set_is_there(cache):
    assert await cache.get("a name") is None
    await cache.set("a name", b"value", 60)
    assert await cache.get("a name") == b"value"
    await cache.set("a name", b"other", 60)
    assert await cache.get("a name") == b"other"
    await cache.delete("a name")
    assert await cache.get("a name") is None
    await cache.delete("a name")


async def test_many_at_once_and_only_those_that_are_there(cache):
    values = {f"many-{n}": b"%d" % n for n in range(50)}
    await asyncio.gather(*(cache.set(name, value, 60) for name, value in values.items()))
    assert await cache.get_many([*values, "missing"]) == values
    assert await cache.get_many([]) == {}
    answers = await asyncio.gather(*(cache.get(name) for name in values))  # answers do not change places
    assert answers == list(values.values())


@pytest.mark.parametrize("name", ["", " ", "a\r\nset b 0 0 1\r\nx", "ümlaut \ud800", "x" * 4000, "end\x00"])
async def test_any_text_is_a_name(cache, name):
    await cache.set(name, b"here", 60)
    assert await cache.get(name) == b"here"
    assert await cache.get("b") is None


@pytest.mark.parametrize("value", [b"", b"\r\nEND\r\n", b"VALUE a 0 1\r\nx\r\nEND\r\n", bytes(range(256)) * 3000])
async def test_any_bytes_are_a_value(cache, value):
    await cache.set("bytes", value, 60)
    assert await cache.get("bytes") == value
    await cache.set("next", b"right", 60)
    assert await cache.get_many(["bytes", "next"]) == {"bytes": value, "next": b"right"}


async def test_time_to_live(cache):
    began = time.monotonic()
    await cache.set("short", b"1", 2.5)  # memcached's clock has whole seconds, and stands while it is held up
    await cache.set("long", b"1", 3600)
    await cache.set("longest", b"1", 400 * 86400)
    assert await cache.get("short") == b"1" or time.monotonic() - began > 0.5

    async def gone():
        return await cache.get("short") is None

    await until(gone)
    assert set(await cache.get_many(["long", "longest"])) == {"long", "longest"}
    await cache.set("long", b"2", 0)
    assert await cache.get("long") is None


async def test_a_caller_that_gives_up_leaves_nothing_behind(cache):
    await cache.set("first", b"1", 60)
    await cache.set("second", b"2", 60)
    given_up = [asyncio.ensure_future(cache.get("first")) for _ in range(5)]
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    assert await cache.get("second") == b"2"
    assert await cache.get("first") == b"1"


# memcached alone


@pytest.fixture
def own_memcached(engine_folder: Path) -> Iterator[Memcached]:
    with Memcached(engine_folder / "own") as engine:
        yield engine


async def test_unreachable_and_reachable_again(own_memcached):
    clock = MovedClock()
    clock.stop()
    cache = MemcachedCache([(own_memcached.address, own_memcached.port)], clock)
    await cache.set("a", b"1", 60)
    with capture_logs() as logs:
        own_memcached.kill()
        for _ in range(50):
            assert await cache.get("a") is None
            await cache.set("a", b"1", 60)
            await cache.delete("a")
        assert not cache.reachable("a")
        clock.ahead += 10  # tried again, and still away
        assert await cache.get("a") is None
        assert not cache.reachable("a")
        own_memcached.start()
        assert await cache.get("a") is None
        clock.ahead += 10
        await cache.set("a", b"2", 60)
        assert await cache.get("a") == b"2"
        assert cache.reachable("a")
    assert [entry["event"] for entry in logs] == [
        "memcached unreachable: working without it",
        "memcached reachable again",
    ]


async def test_restarted_between_two_requests(own_memcached):
    """A connection that ended between two requests is no failure."""
    cache = MemcachedCache([(own_memcached.address, own_memcached.port)])
    await cache.set("a", b"1", 60)
    own_memcached.stop()
    own_memcached.start()

    async def set_again():
        await cache.set("a", b"2", 60)
        return await cache.get("a") == b"2"

    await until(set_again)


class Odd(asyncio.Protocol):
    """A server that answers each piece it gets with the same words, or with nothing."""

    def __init__(self, words: bytes | None) -> None:
        self.words = words

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if self.words is None:
            return
        self.transport.write(self.words) if self.words else self.transport.close()


@pytest.mark.parametrize(
    "words",
    [None, b"", b"ERROR\r\n", b"SERVER_ERROR out of memory\r\n", b"VALUE\r\n", b"VALUE a b c\r\n", b"\xff\r\n",
     b"VALUE other 0 1\r\nx\r\nEND\r\nEND\r\n", b"STORED\r\n" * 9],
)  # fmt: skip
async def test_a_server_that_answers_nothing_or_nonsense(words, monkeypatch):
    monkeypatch.setattr("kilonova.core.cache.memcached.TIMEOUT", TIMEOUT)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Odd(words), "127.0.0.1", 0)
    clock = MovedClock()
    cache = MemcachedCache([("127.0.0.1", server.sockets[0].getsockname()[1])], clock)
    for _ in range(3):
        assert await cache.get("a") is None
        await cache.set("a", b"1", 60)
        await asyncio.gather(*(cache.get(str(n)) for n in range(20)))
        clock.ahead += 10
    await cache.close()
    server.close()


class Prompt(socketserver.StreamRequestHandler):
    """Every name has the value 1. It runs in this process, so that a pause of this process pauses it too."""

    def handle(self):
        while words := self.rfile.readline().split():
            if words[0] == b"set":
                self.rfile.read(int(words[4]) + 2)
                self.wfile.write(b"STORED\r\n")
            else:
                self.wfile.write(b"VALUE %s 0 1\r\n1\r\nEND\r\n" % words[1])


@pytest.fixture
def prompt():
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Prompt) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address
        server.shutdown()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_a_loop_that_was_held_up_is_no_failure_of_memcached(prompt, run, monkeypatch):
    """Its timers come before what it has to read."""

    async def main():
        cache = MemcachedCache([prompt])
        await cache.set("held up", b"1", 60)
        monkeypatch.setattr("kilonova.core.cache.memcached.TIMEOUT", TIMEOUT)
        for _ in range(3):
            asking = [asyncio.ensure_future(cache.get("held up")) for _ in range(20)]
            await asyncio.sleep(0)
            time.sleep(TIMEOUT * 1.5)
            assert await asyncio.gather(*asking) == [b"1"] * 20
        await cache.close()

    with capture_logs() as logs:
        run(main())
    assert logs == []


def test_under_uvloop(memcached):
    """The loop that services really run in."""

    async def main():
        cache = MemcachedCache([(memcached.address, memcached.port)])
        await cache.set("looped", bytes(range(256)) * 1000, 60)
        assert await cache.get_many(["looped", "not there"]) == {"looped": bytes(range(256)) * 1000}
        await cache.close()

    uvloop.run(main())


async def test_one_dead_server_of_two(memcached):
    with socket.socket() as taken:  # bound, not listening: refuses
        taken.bind(("127.0.0.1", 0))
        cache = MemcachedCache([(memcached.address, memcached.port), taken.getsockname()])
        names = [f"spread-{n}" for n in range(64)]
        for name in names:
            await cache.set(name, b"1", 60)
        found = await cache.get_many(names)
        assert 0 < len(found) < len(names)
        assert all(cache.reachable(name) == (name in found) for name in names)
        again = MemcachedCache([taken.getsockname(), (memcached.address, memcached.port)])
        assert await again.get_many(names) == found  # the order of the list does not matter
        await cache.close()
        await again.close()


async def test_too_large_is_not_kept_and_not_out_of_date(memcached):
    cache = MemcachedCache([(memcached.address, memcached.port)])
    await cache.set("large", b"small", 60)
    await cache.set("large", bytes(MAX_VALUE + 1), 60)
    assert await cache.get("large") is None
    await cache.close()


# the seal


async def test_the_seal(memcached):
    plain = MemcachedCache([(memcached.address, memcached.port)])
    ours, other = SealedCache(plain, "our secret"), SealedCache(plain, "another secret")
    await ours.set("who", b"a member", 60)
    await ours.set("boss", b"an admin", 60)
    assert await other.get("who") is None
    kept = {name: await plain.get(ours.key(name)) for name in ("who", "boss")}
    for name, sealed in kept.items():
        assert sealed is not None
        assert b"admin" not in sealed
        assert b"member" not in sealed
        assert name not in ours.key(name)
    sealed = kept["boss"] or b""
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    forged = other._cipher.encrypt(b"n" * 12, b"an admin", ours.key("who").encode())
    for poison in (sealed, flipped, sealed[:5], b"", b"an admin", b"n" * 12 + forged):
        await plain.set(ours.key("who"), poison, 60)
        assert await ours.get_many(["who", "boss"]) == {"boss": b"an admin"}
    await plain.close()


async def test_open_cache(memcached):
    cache = open_cache(f"memcached://127.0.0.1:{memcached.port},localhost:{memcached.port}", "secret")
    await cache.set("opened", b"1", 60)
    assert await cache.get("opened") == b"1"
    assert cache.shared
    await cache.close()
    assert not open_cache("memory://", "").shared
    assert MemcachedCache([("::1", 1)]).shared
    for url, secret in [("redis://h", "s"), ("memcached://", "s"), ("memcached://h:x", "s"), ("memcached://h", "")]:
        with pytest.raises(ValueError, match=r"\[cache\] url|cache_secret"):
            open_cache(url, secret)
