"""How the outbox sends: in order, past those who are away, ever more slowly, and what nobody needs not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import MetaData, insert, select

from kilonova.core import errors
from kilonova.core.bus import Interface, MemoryBus, cast, hint
from kilonova.core.bus.base import Envelope, Receipt
from kilonova.core.context import RequestContext
from kilonova.core.db import Database
from kilonova.core.db.outbox import Outbox, outbox_table
from kilonova.core.faults import FaultRule, Faults

CTX = RequestContext(request_id="req-1")
metadata = MetaData()
table = outbox_table(metadata)


class WorkAPI(Interface):
    topic = "work"

    @cast
    async def do(self, ctx: RequestContext, text: str) -> None: ...

    @hint
    async def look(self, ctx: RequestContext) -> None: ...


class Worker(WorkAPI):
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    async def do(self, ctx: RequestContext, text: str) -> None:
        self.heard.append(text)
        await self.go.wait()

    async def look(self, ctx: RequestContext) -> None:
        self.heard.append("look")


class CountingBus(MemoryBus):
    def __init__(self) -> None:
        super().__init__()
        self.posts = 0

    async def post(self, envelope: Envelope) -> Receipt:
        self.posts += 1
        return await super().post(envelope)


class Post:
    def __init__(self, path: Path, **options: float) -> None:
        self.bus, self.faults = CountingBus(), Faults()
        self.database = Database(f"sqlite:///{path}/x.sqlite", metadata, name="test")
        options = {"retry": 0.02} | options
        self.outbox = Outbox(self.database, table, self.bus, faults=self.faults, **options)

    async def worker(self, host: str = "h") -> Worker:
        worker = Worker()
        await self.bus.serve(WorkAPI, worker, host=host)
        return worker

    async def send(self, *texts: str, host: str = "h") -> None:
        async with self.database.transaction() as tx:
            for text in texts:
                await tx.outbox(WorkAPI, host=host).do(CTX, text)

    async def stored(self) -> list[int]:
        async with self.database.reading() as connection:
            return list((await connection.execute(select(table.c.id))).scalars())

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            while await self.stored():
                await asyncio.sleep(0.005)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    post = Post(tmp_path)
    async with post.database.transaction() as tx:
        await tx.connection.run_sync(metadata.create_all)
    yield post
    await post.outbox.close()
    await post.bus.close()
    await post.database.close()


async def test_messages_of_a_transaction_are_one_statement(post: Post) -> None:
    before = post.database.statements
    await post.send(*(str(n) for n in range(50)))
    assert post.database.statements - before <= 2  # BEGIN and INSERT
    assert len(await post.stored()) == 50


async def test_one_place_hears_in_order(post: Post) -> None:
    worker = await post.worker()
    texts = [str(n) for n in range(100)]
    for start in range(0, 100, 10):
        await post.send(*texts[start : start + 10])
    await post.settled()
    assert worker.heard == texts


async def test_the_order_outlives_an_absence(post: Post) -> None:
    await post.send("a", "b")
    await asyncio.sleep(0.03)
    await post.send("c")
    worker = await post.worker()
    await post.send("d")
    await post.settled()
    assert worker.heard == ["a", "b", "c", "d"]


async def test_a_message_does_not_wait_for_the_end_of_another(post: Post) -> None:
    """A deletion must reach a host that is at work on the launch."""
    worker = await post.worker()
    worker.go.clear()
    await post.send("long")
    await post.send("short")
    await asyncio.sleep(0.05)
    assert worker.heard == ["long", "short"]
    worker.go.set()
    await post.settled()


async def test_a_place_that_is_away_holds_up_nobody_else(post: Post) -> None:
    worker = await post.worker("here")
    await post.send(*(str(n) for n in range(20)), host="gone")
    await post.send("a", host="here")
    async with asyncio.timeout(1):
        while worker.heard != ["a"]:
            await asyncio.sleep(0.005)


async def test_a_place_that_is_away_is_asked_ever_less(post: Post) -> None:
    await post.send(*(str(n) for n in range(20)), host="gone")
    await asyncio.sleep(0.5)
    assert post.bus.posts <= 6  # at 0, 0.02, 0.06, 0.14, 0.30 … s: not once for each message either
    assert len(await post.stored()) == 20


async def test_something_new_is_a_reason_to_try_again(post: Post) -> None:
    post.outbox.retry = 20.0
    await post.send("a")
    await asyncio.sleep(0.02)
    worker = await post.worker()
    await post.send("b")
    await post.settled()
    assert worker.heard == ["a", "b"]


async def test_a_hint_is_dropped_where_nobody_listens(post: Post) -> None:
    async with post.database.transaction() as tx:
        await tx.outbox(WorkAPI, host="gone").look(CTX)
    await post.settled()
    worker = await post.worker()
    async with post.database.transaction() as tx:
        await tx.outbox(WorkAPI, host="h").look(CTX)
    await post.settled()
    assert worker.heard == ["look"]


async def test_a_hint_whose_receiver_dies_is_sent_again(post: Post) -> None:
    """It was there, so it may have forgotten."""
    post.faults.rules.append(FaultRule(step="hand_over", when="after", do="fail"))
    worker = await post.worker()
    async with post.database.transaction() as tx:
        await tx.outbox(WorkAPI, host="h").look(CTX)
    await post.settled()
    assert worker.heard == ["look", "look"]


async def test_what_a_cancelled_sender_left_is_sent(post: Post) -> None:
    """Cancelled between the commit and the sending: in the database, but nobody was told."""
    post.outbox.adopt_after = 0.05
    worker = await post.worker()
    await post.outbox.resume()
    envelopes: list[Envelope] = []
    async with post.database.transaction() as tx:
        await tx.outbox(WorkAPI, host="h").do(CTX, "a")
        envelopes = [message.envelope for message in tx.pending]
        await post.outbox.store(tx.connection, tx.pending)
        tx.pending.clear()
    assert envelopes
    assert worker.heard == []
    await post.settled()
    assert worker.heard == ["a"]


async def test_a_message_that_cannot_be_read_does_not_keep_the_others(post: Post) -> None:
    async with post.database.transaction() as tx:
        await tx.connection.execute(insert(table).values(body=b"\xff nonsense"))
        await tx.outbox(WorkAPI, host="h").do(CTX, "a")
        await post.outbox.store(tx.connection, tx.pending)
        tx.pending.clear()
    worker = await post.worker()
    assert await post.outbox.resume() == 2
    async with asyncio.timeout(2):
        while len(await post.stored()) > 1:
            await asyncio.sleep(0.005)
    assert worker.heard == ["a"]


async def test_a_bus_that_breaks_unexpectedly_loses_nothing(post: Post) -> None:
    worker = await post.worker()
    real, broken = post.bus.post, [RuntimeError("no bus"), errors.BusError(reason="closed")]

    async def flaky(envelope: Envelope) -> Receipt:
        if broken:
            raise broken.pop()
        return await real(envelope)

    post.bus.post = flaky  # type: ignore[method-assign]
    await post.send("a", "b")
    await post.settled()
    assert worker.heard == ["a", "b"]
