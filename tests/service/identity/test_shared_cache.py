"""Several processes that validate tokens, over one real memcached. The bus delivers nothing here, unless a test says so:
messages that it loses must not matter."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import pytest
from structlog.testing import capture_logs

from kilonova.core import errors
from kilonova.core.cache import Cache, MemcachedCache, SealedCache, open_cache
from kilonova.core.context import service_context
from kilonova.identity.client import RemoteAuthenticator, _name
from kilonova.identity.flush import flush
from kilonova.identity.interface import REVOCATION_EPOCH, RevocationList, Revoked
from kilonova.identity.revocation_log import RevocationLog
from kilonova.identity.service_account import ServiceAccount, ServiceCredentials
from kilonova.testing.engines import Memcached
from tests.service.identity.conftest import Identity, MovedClock, start
from tests.service.identity.test_client import URL, Counting

pytestmark = pytest.mark.usefixtures("patient")
SECRET = "what all processes share"
FOREVER = 1e9


@pytest.fixture(scope="module")
def engine(engine_folder: Path) -> Iterator[Memcached]:
    with Memcached(engine_folder / "tokens") as memcached:
        yield memcached


class Cloud:
    """Identity with a cache of its own to the memcached, and as many other processes as a test wants."""

    def __init__(self, identity: Identity, engine: Memcached) -> None:
        self.identity, self.engine, self.caches = identity, engine, [identity.core.cache]

    def process(self, secret: str = SECRET, **more: Any) -> Process:
        clock = MovedClock()
        clock.stop()
        cache = SealedCache(MemcachedCache([(self.engine.address, self.engine.port)], clock), secret)
        self.caches.append(cache)
        return Process(self.identity, cache, clock, **more)

    async def demo(self) -> str:
        return await self.identity.login("demo", "demo-pw", "demo")

    async def revoke(self, token: str) -> None:
        answer = await self.identity.call("DELETE", "/identity/v3/auth/tokens", headers={"X-Subject-Token": token})
        assert answer.status == 204

    def everything_kept(self) -> bytes:
        """All keys and values in the memcached."""
        with socket.create_connection((self.engine.address, self.engine.port)) as plain, plain.makefile("rwb") as file:
            file.write(b"lru_crawler metadump all\r\n")
            file.flush()
            keys = [unquote_to_bytes(line.split()[0][4:]) for line in iter(file.readline, b"END\r\n")]
            kept = b" ".join(keys)
            for key in keys:
                file.write(b"get %b\r\n" % key)
                file.flush()
                kept += b"".join(iter(file.readline, b"END\r\n"))
        return kept


class Process:
    """One process that validates tokens. It drops only what events name, and asks identity for events only when the epoch
    has changed."""

    def __init__(
        self,
        identity: Identity,
        cache: Cache | None,
        clock: MovedClock,
        *,
        lease: float = FOREVER,
        ttl: float = FOREVER,
    ) -> None:
        self.transport, self.clock, self.cache = Counting(identity.core.transport), clock, cache
        account = ServiceAccount(URL, self.transport, ServiceCredentials(password="service-pw"), self.clock)
        self.authenticator = RemoteAuthenticator(
            URL, self.transport, account, self.clock, cache=cache, lease=lease, ttl=ttl
        )

    @property
    def asked(self) -> int:
        return self.transport.count["GET"]

    async def knows(self, token: str) -> str | None:
        """The name of the token's user."""
        ctx = await self.authenticator.authenticate(token)
        return ctx.user_name if ctx is not None else None


@pytest.fixture
async def cloud(tmp_path: Path, engine: Memcached) -> AsyncIterator[Cloud]:
    if engine.process is None:
        engine.start()
    with socket.create_connection((engine.address, engine.port)) as plain:
        plain.sendall(b"flush_all\r\n")
        plain.recv(100)
    identity = await start(tmp_path, cache=open_cache(engine.url, SECRET))
    made = Cloud(identity, engine)
    yield made
    await identity.service.stop()
    for cache in made.caches:
        await cache.close()


async def test_what_one_process_proved_another_knows(cloud):
    first, second = cloud.process(), cloud.process()
    token = await cloud.demo()
    assert await first.knows(token) == "demo"
    assert first.asked == 1
    for _ in range(3):
        assert await second.authenticator.authenticate(token) == await first.authenticator.authenticate(token)
    assert second.asked == 0
    assert first.transport.count["revocations"] + second.transport.count["revocations"] <= 3
    assert await second.knows("gAAAAABwrong") is None


async def revoke_by(cloud: Cloud, how: str, token: str) -> None:
    identity = cloud.identity
    user, project = await identity.find("/users", "users", "demo"), await identity.find("/projects", "projects", "demo")
    role = await identity.find("/roles", "roles", "member")
    match how:
        case "token":
            await cloud.revoke(token)
        case "password":
            await identity.api("PATCH", f"/users/{user}", {"user": {"password": "other"}})
        case "own password":
            change = {"user": {"original_password": "demo-pw", "password": "other"}}
            answer = await identity.api("POST", f"/users/{user}/password", change)
            assert answer.status == 204
        case "user disabled":
            await identity.api("PATCH", f"/users/{user}", {"user": {"enabled": False}})
        case "user deleted":
            await identity.api("DELETE", f"/users/{user}")
        case "grant":
            await identity.api("DELETE", f"/projects/{project}/users/{user}/roles/{role}")
        case "role":
            await identity.api("DELETE", f"/roles/{role}")
        case "project disabled":
            await identity.api("PATCH", f"/projects/{project}", {"project": {"enabled": False}})
        case "project deleted":
            await identity.api("DELETE", f"/projects/{project}")


@pytest.mark.parametrize(
    "how",
    ["token", "password", "own password", "user disabled", "user deleted", "grant", "role", "project disabled",
     "project deleted"],
)  # fmt: skip
async def test_a_revocation_counts_in_every_process_at_once(cloud, how):
    first, second, idle = cloud.process(), cloud.process(), cloud.process()
    token = await cloud.demo()
    for process in (first, second):
        assert await process.knows(token) == "demo"
    await revoke_by(cloud, how, token)
    late = cloud.process()
    for process in (first, second, idle, late):
        assert await process.knows(token) is None
        assert await process.knows(cloud.identity.call.token_default) == "admin"


async def test_a_role_given_counts_at_once(cloud):
    first, second = cloud.process(), cloud.process()
    token = await cloud.demo()
    identity = cloud.identity
    user, project = await identity.find("/users", "users", "demo"), await identity.find("/projects", "projects", "demo")
    admin = await identity.find("/roles", "roles", "admin")
    for process in (first, second):
        assert await process.knows(token) == "demo"
    await identity.api("PUT", f"/projects/{project}/users/{user}/roles/{admin}")
    for process in (first, second):
        ctx = await process.authenticator.authenticate(token)
        assert ctx is not None
        assert ctx.is_admin


async def test_others_stay_known(cloud):
    process = cloud.process()
    mine, gone = await cloud.demo(), await cloud.demo()
    assert await process.knows(mine) == await process.knows(gone) == "demo"
    await cloud.revoke(gone)
    asked, events = process.asked, process.transport.count["revocations"]
    for _ in range(5):
        assert await process.knows(mine) == "demo"
    assert process.asked == asked
    assert process.transport.count["revocations"] == events + 1
    assert await process.knows(gone) is None


async def test_memcached_killed_in_the_middle(cloud):
    first, second = cloud.process(lease=5), cloud.process(lease=5)
    token, doomed = await cloud.demo(), await cloud.demo()
    for process in (first, second):
        assert await process.knows(token) == await process.knows(doomed) == "demo"
    cloud.engine.kill()
    with capture_logs() as logs:
        asked = first.asked
        for _ in range(20):
            assert await first.knows(token) == "demo"
        assert first.asked == asked
        await cloud.revoke(doomed)
        first.clock.ahead += 5  # as long as a process trusts that it gets all events
        assert await first.knows(doomed) is None
        assert await first.knows(token) == "demo"
    assert sum("memcached unreachable" in entry["event"] for entry in logs) == 2  # here, and in identity
    cloud.engine.start()
    for process in (first, second):
        process.clock.ahead += 2
        assert await process.knows(doomed) is None
        assert await process.knows(token) == "demo"


async def test_a_revocation_while_memcached_was_restarted_empty(cloud):
    """Identity could not send the event: processes ask because the epoch is missing."""
    process = cloud.process()
    token = await cloud.demo()
    assert await process.knows(token) == "demo"
    cloud.engine.stop()
    await cloud.revoke(token)
    cloud.engine.start()
    assert await process.cache.get("x") is None  # the old connection's end is noticed
    assert await process.knows(token) is None


async def test_poison_and_garbage_are_misses(cloud):
    plain = MemcachedCache([(cloud.engine.address, cloud.engine.port)])
    cloud.caches.append(plain)
    first = cloud.process()
    seal: SealedCache = first.cache
    demo, admin = await cloud.demo(), cloud.identity.call.token_default
    assert await first.knows(demo) == "demo"
    assert await first.knows(admin) == "admin"

    def key(token: str) -> str:
        return seal.key(_name(hashlib.sha256(token.encode()).digest()))

    admins = await plain.get(key(admin))
    assert admins is not None
    stranger = SealedCache(plain, "a guessed secret")
    forged = stranger._cipher.encrypt(b"n" * 12, b"\x94", key(demo).encode())
    for poison in (admins, b"garbage", b"", b"\x00" * 5000, b"n" * 12 + forged):
        await plain.set(key(demo), poison, 60)
        victim = cloud.process()
        assert await victim.knows(demo) == "demo"
        assert victim.asked == 1
    await seal.set(_name(bytes(32)), b"sealed, and not what we write", 60)
    assert await cloud.process().knows(demo) == "demo"
    for epoch in (b"garbage", b""):
        await plain.set(seal.key(REVOCATION_EPOCH), epoch, 60)
        assert await first.knows(demo) == "demo"
    await cloud.revoke(demo)
    assert await first.knows(demo) is None


async def test_old_values_put_back_count_for_a_lease_at_most(cloud):
    plain = MemcachedCache([(cloud.engine.address, cloud.engine.port)])
    cloud.caches.append(plain)
    process = cloud.process(lease=5, ttl=30)
    token = await cloud.demo()
    assert await process.knows(token) == "demo"
    epoch_key = process.cache.key(REVOCATION_EPOCH)
    old = await plain.get(epoch_key)
    assert old is not None
    await cloud.revoke(token)
    await plain.set(epoch_key, old, 60)
    process.clock.ahead += 5
    assert await process.knows(token) is None


async def test_no_token_is_kept_in_clear(cloud):
    token = await cloud.demo()
    process = cloud.process()
    assert await process.knows(token) == "demo"
    kept = cloud.everything_kept()
    assert kept.count(b"kilonova:") >= 2
    for secret in (token.encode(), token.encode()[10:40], b"demo", b"admin", b"member"):
        assert secret not in kept


async def test_another_secret_shares_nothing(cloud):
    ours, theirs = cloud.process(), cloud.process(secret="another cloud's")
    token = await cloud.demo()
    assert await ours.knows(token) == "demo"
    assert await theirs.knows(token) == "demo"
    assert theirs.asked == 1


async def test_without_a_shared_cache_a_missed_event_counts_after_the_lease(cloud):
    process = Process(cloud.identity, None, MovedClock(), lease=5)
    token = await cloud.demo()
    assert await process.knows(token) == "demo"
    await cloud.revoke(token)
    process.clock.ahead += 5
    assert await process.knows(token) is None


async def test_a_gap_in_the_events_makes_it_ask(cloud):
    """The bus lost one event and delivered the next."""
    process = Process(cloud.identity, None, MovedClock())
    token, other = await cloud.demo(), await cloud.demo()
    assert await process.knows(token) == "demo"
    await cloud.revoke(token)  # without an event
    await process.authenticator.listen(cloud.identity.core.bus, host="late")
    await cloud.revoke(other)
    await asyncio.sleep(0)
    assert await process.knows(token) is None


async def test_identity_unreachable(cloud):
    process = cloud.process(lease=5)
    token, other = await cloud.demo(), await cloud.demo()
    assert await process.knows(token) == "demo"
    process.transport.cut = True
    process.clock.ahead += 6
    assert await process.knows(token) == "demo"  # nothing says that anything was revoked
    await cloud.revoke(other)
    with pytest.raises(errors.ServiceUnavailable):  # something was, and it can't be known what
        await process.knows(token)
    asked = process.transport.count["revocations"]
    for _ in range(5):
        with pytest.raises(errors.ServiceUnavailable):
            await process.knows(token)
    assert process.transport.count["revocations"] == asked  # not at each request
    process.transport.cut = False
    process.clock.ahead += 1
    assert await process.knows(token) == "demo"
    assert await process.knows(other) is None


async def test_events_are_numbered_without_a_gap(cloud):
    made = [await cloud.identity.made("/users", "user", name=f"u{n}", password="pw") for n in range(12)]
    before = await events(cloud, 0)
    await asyncio.gather(
        *(cloud.identity.api("PATCH", f"/users/{user['id']}", {"user": {"enabled": False}}) for user in made)
    )
    after = await events(cloud, before.generation)
    assert [event.generation for event in after.events] == list(range(before.generation + 1, after.generation + 1))
    assert {event.user_ids[0] for event in after.events} == {user["id"] for user in made}
    assert after.since == before.generation
    assert (await events(cloud, after.generation)).events == []


async def events(cloud: Cloud, after: int) -> RevocationList:
    answer = await cloud.identity.api("GET", f"/OS-KILONOVA/revocations?after={after}")
    assert answer.status == 200
    return msgspec.json.decode(answer.content, type=RevocationList)


async def test_callers_that_may_read_events(cloud):
    assert (await cloud.identity.api("GET", "/OS-KILONOVA/revocations", token=await cloud.demo())).status == 403
    assert (await cloud.identity.api("GET", "/OS-KILONOVA/revocations", token=None)).status == 401
    for after in ("x", "-1", "1" * 30):
        assert (await cloud.identity.api("GET", f"/OS-KILONOVA/revocations?after={after}")).status == 400


async def test_events_that_are_not_kept_any_more(cloud):
    """A process that missed them drops everything that was validated before."""
    process = Process(cloud.identity, None, MovedClock(), lease=5)
    token, gone = await cloud.demo(), await cloud.demo()
    assert await process.knows(token) == await process.knows(gone) == "demo"
    await cloud.revoke(gone)
    clock = MovedClock()
    clock.ahead = 3700
    removed = await flush(cloud.identity.service.database, clock)
    assert removed["revocation_events"] >= 1
    cloud.identity.service.tokens.clock = process.clock
    process.clock.ahead += 5
    assert await process.knows(gone) is None
    assert await process.knows(token) == "demo"


class Script:
    """An `ask` whose answers a test gives."""

    def __init__(self) -> None:
        self.answer: RevocationList | None = RevocationList(generation=5, since=0, events=[])
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, after: int) -> RevocationList:
        await self.gate.wait()
        if self.answer is None:
            raise errors.ServiceUnavailable(reason="away")
        return self.answer


def log_of(script: Script, **more: Any) -> tuple[RevocationLog, MovedClock]:
    clock = MovedClock()
    clock.stop()
    return RevocationLog(script, None, clock, **{"lease": 5.0, "keep": 60.0, "size": 100} | more), clock


async def test_an_event_that_comes_while_identity_answers():
    script = Script()
    log, clock = log_of(script)
    assert await log.settle(None)
    script.gate.clear()
    clock.ahead += 5
    asking = asyncio.ensure_future(log.settle(None))
    await asyncio.sleep(0)
    log.receive(Revoked(generation=6, user_ids=["u"]))  # the answer on its way does not have it
    log.receive(Revoked(generation=8, user_ids=["w"]))  # and 7 was lost
    script.gate.set()
    assert await asking
    assert log.voids(5, ["u"])
    assert log.voids(6, ["w"])
    script.answer = RevocationList(generation=8, since=6, events=[Revoked(generation=7, user_ids=["v"])])
    assert await log.settle(None)
    assert log.generation == 8
    assert log.voids(6, ["v"])
    assert not log.voids(7, ["v", None])


async def test_another_database_than_before_makes_everything_void():
    script = Script()
    log, clock = log_of(script)
    assert await log.settle(None)
    script.answer = RevocationList(generation=2, since=2, events=[])
    clock.ahead += 5
    assert await log.settle(None)
    assert log.voids(5, [])


async def test_more_names_than_fit_make_everything_void():
    script = Script()
    log, _ = log_of(script, size=10)
    assert await log.settle(None)
    for n in range(6, 20):
        log.receive(Revoked(generation=n, user_ids=[f"user-{n}"]))
        assert log.voids(n - 1, [f"user-{n}"])
    assert log.voids(5, ["user-6"])
    assert not log.voids(19, ["user-6"])


async def test_a_lost_event_still_counts_when_identity_is_unreachable():
    script = Script()
    log, clock = log_of(script)
    assert await log.settle(None)
    log.receive(Revoked(generation=9, everything=True))
    script.answer = None
    assert not await log.settle(None)
    clock.ahead += 1
    assert not await log.settle(None)
    script.answer = RevocationList(generation=9, since=5, events=[Revoked(generation=9, everything=True)])
    clock.ahead += 1
    assert await log.settle(None)
    assert log.voids(8, [])
    assert not log.voids(9, [])


async def test_callers_that_give_up_cancel_no_shared_work(cloud):
    process = cloud.process()
    token = await cloud.demo()
    callers = [asyncio.ensure_future(process.knows(token)) for _ in range(20)]
    await asyncio.sleep(0.001)
    for caller in callers[:19]:
        caller.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*callers[:19])
    assert await callers[19] == "demo"
    await process.authenticator.revoked(service_context("r"), Revoked(generation=10**6, everything=True))
    assert await process.knows(token) == "demo"
