"""What time has made void goes, in small pieces, and nothing else does."""

from __future__ import annotations

import asyncio

import msgspec
from sqlalchemy import func, insert, select

from kilonova.core.clock import Clock
from kilonova.identity import timestamps
from kilonova.identity.flush import AT_ONCE, TABLES, flush
from kilonova.identity.tables import login_failures, revocation_events, revocations, tokens
from tests.eventually import until
from tests.service.identity.conftest import CHEAP, Identity, MovedClock, start

OLD = 2 * AT_ONCE + 10
FILLED = {"tokens": OLD, "revocations": OLD, "revocation_events": OLD, "login_failures": OLD}


async def fill(identity: Identity, count: int = OLD, *, age: int = 60) -> None:
    """So many rows in each table that expired `age` seconds ago."""
    then = timestamps.now(Clock()) - age * timestamps.SECOND
    name = f"{age}-{{}}".format
    common = {"expires_at": then}
    async with identity.service.database.transaction() as tx:
        for table, row in (
            (tokens, lambda n: {"id_hash": name(n), "payload": b"x"}),
            (revocations, lambda n: {"id": name(n), "subject": f"audit:{n}", "issued_before": then}),
            (revocation_events, lambda n: {"generation": 10**6 + age * 10**4 + n, "event": b"x"}),
            (login_failures, lambda n: {"subject": name(n), "failures": 1}),
        ):
            await tx.connection.execute(insert(table), [row(n) | common for n in range(count)])


async def left(identity: Identity) -> dict[str, int]:
    async with identity.service.database.reading() as connection:
        return {t.name: (await connection.execute(select(func.count()).select_from(t))).scalar_one() for t in TABLES}


async def test_what_has_expired_goes_in_pieces(any_identity):
    identity = any_identity
    revoked, valid = [await identity.login("demo", "demo-pw", "demo") for _ in range(2)]
    assert (await identity.post_token({"name": "demo", "password": "wrong"})).status == 401
    await identity.service.tokens.revoke(revoked)
    before = await left(identity)
    await fill(identity)
    progress: list[int] = []
    removed = await flush(identity.service.database, Clock(), lambda so_far: progress.append(sum(so_far.values())))
    assert removed == FILLED
    assert progress == sorted(progress)
    assert progress[-1] == sum(FILLED.values())
    assert max(b - a for a, b in zip([0, *progress], progress, strict=False)) == AT_ONCE
    assert await left(identity) == before
    assert await flush(identity.service.database, Clock()) == dict.fromkeys(FILLED, 0)
    for token, status in ((revoked, 401), (valid, 200)):
        assert (await identity.api("GET", "/auth/projects", token=token)).status == status


async def test_at_their_end_tokens_and_what_revoked_them_go_too(tmp_path):
    identity = await start(tmp_path, msgspec.structs.replace(CHEAP, token_provider="uuid"))
    await identity.service.tokens.revoke(await identity.login("demo", "demo-pw", "demo"))
    assert (await identity.post_token({"name": "demo", "password": "wrong"})).status == 401
    assert all((await left(identity)).values())
    clock = MovedClock()
    clock.ahead = 8 * 86400
    await flush(identity.service.database, clock)
    assert not any((await left(identity)).values())
    await identity.service.stop()


async def test_several_flush_at_once(identity):
    await fill(identity)
    both = await asyncio.gather(*(flush(identity.service.database, Clock()) for _ in range(3)))
    assert {name: sum(removed[name] for removed in both) for name in FILLED} == FILLED


async def test_traffic_goes_on_beside_it(identity):
    await fill(identity)
    running = asyncio.ensure_future(flush(identity.service.database, Clock()))
    user = await identity.find("/users", "users", "demo")
    answers = 0
    while not running.done():
        change = {"user": {"description": str(answers)}}
        assert (await identity.api("PATCH", f"/users/{user}", change)).status == 200
        answers += 1
    assert await running == FILLED
    assert answers >= 2, "others write between two pieces"


async def test_the_service_flushes_by_itself(tmp_path):
    identity = await start(tmp_path, msgspec.structs.replace(CHEAP, flush_interval=1))
    before = await left(identity)
    await fill(identity, 5)

    async def flushed() -> bool:
        return await left(identity) == before

    await until(flushed)
    await identity.service.stop()
