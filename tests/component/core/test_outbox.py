"""How the outbox sends: in order, past receivers that are down, retried ever less often; hints without a receiver not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import MetaData, delete, insert, select

from kilonova.core import errors
from kilonova.core.bus import Interface, MemoryBus, cast, hint
from kilonova.core.bus.base import Envelope, Receipt
from kilonova.core.context import RequestContext
from kilonova.core.db import Database
from kilonova.core.db.outbox import LOOKS, Outbox, outbox_table
from kilonova.core.faults import FaultRule, Faults
from tests import databases
from tests.databases import statements_of
from tests.eventually import until

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
        self.received: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    async def do(self, ctx: RequestContext, text: str) -> None:
        self.received.append(text)
        await self.go.wait()

    async def look(self, ctx: RequestContext) -> None:
        self.received.append("look")


class CountingBus(MemoryBus):
    def __init__(self) -> None:
        super().__init__()
        self.posts = 0

    async def post(self, envelope: Envelope) -> Receipt:
        self.posts += 1
        return await super().post(envelope)


class Post:
    """A process with its outbox; several of them may be on one folder's database, and on one bus."""

    def __init__(self, path: Path, bus: CountingBus | None = None, **options: Any) -> None:
        self.bus, self.faults = bus or CountingBus(), Faults()
        self.database = Database(databases.url(path, "outbox"), metadata, name="test")
        options = {"retry": 0.02, "look_every": 0.02} | options
        self.outbox = Outbox(self.database, table, self.bus, faults=self.faults, **options)
        self.alive = True

    async def open(self) -> Post:
        async with self.database.transaction() as tx:
            await tx.connection.run_sync(metadata.create_all)
        return self

    async def close(self) -> None:
        await self.outbox.close()
        await self.bus.close()
        await self.database.close()

    async def die(self) -> None:
        """End as a killed process does: no word to anybody."""
        self.alive = False
        for task in [*self.outbox._tasks, self.outbox._watch]:
            if task is not None:
                task.cancel()
        await self.database.close()

    def sees(self, other: Post) -> None:
        """The other process increments its number before each look at it, while it lives, however long either process is
        delayed."""
        real, other.outbox.look_every = self.outbox._look_at_others, 3600.0

        async def look() -> None:
            if other.alive:
                await other.outbox._show_life()
            await real()

        self.outbox._look_at_others = look  # type: ignore[method-assign]

    async def looks(self, count: int) -> None:
        """Until it has looked at the others that often."""
        real, seen = self.outbox._look_at_others, 0

        async def look() -> None:
            nonlocal seen
            await real()
            seen += 1

        self.outbox._look_at_others = look  # type: ignore[method-assign]
        await until(lambda: seen >= count)

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
        await until(self.stored, satisfies=lambda found: not found)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    post = await Post(tmp_path).open()
    yield post
    await post.close()


async def test_messages_of_a_transaction_are_one_statement(post: Post) -> None:
    sent = await statements_of(post.database)
    await post.send(*(str(n) for n in range(50)))
    assert len(sent) == 1
    assert len(await post.stored()) == 50


async def test_one_receiver_gets_its_messages_in_order(post: Post) -> None:
    worker = await post.worker()
    texts = [str(n) for n in range(100)]
    for start in range(0, 100, 10):
        await post.send(*texts[start : start + 10])
    await post.settled()
    assert worker.received == texts


async def test_the_order_outlives_an_absence(post: Post) -> None:
    await post.send("a", "b")
    await asyncio.sleep(0.03)
    await post.send("c")
    worker = await post.worker()
    await post.send("d")
    await post.settled()
    assert worker.received == ["a", "b", "c", "d"]


async def test_a_message_does_not_wait_for_the_end_of_another(post: Post) -> None:
    """A deletion must reach a host that is at work on the launch."""
    worker = await post.worker()
    worker.go.clear()
    await post.send("long")
    await post.send("short")
    await until(lambda: worker.received == ["long", "short"])
    worker.go.set()
    await post.settled()


async def test_a_receiver_that_is_down_delays_no_other(post: Post) -> None:
    worker = await post.worker("here")
    await post.send(*(str(n) for n in range(20)), host="gone")
    await post.send("a", host="here")
    await until(lambda: worker.received == ["a"])


async def test_a_receiver_that_is_down_is_retried_ever_less_often(post: Post) -> None:
    await post.send(*(str(n) for n in range(20)), host="gone")
    await asyncio.sleep(0.5)
    assert post.bus.posts <= 6  # at 0, 0.02, 0.06, 0.14, 0.30 … s: not once for each message either
    assert len(await post.stored()) == 20


async def test_something_new_is_a_reason_to_try_again(post: Post) -> None:
    post.outbox.retry = 60.0
    await post.send("a")
    await asyncio.sleep(0.02)
    worker = await post.worker()
    await post.send("b")
    await post.settled()
    assert worker.received == ["a", "b"]


async def test_a_hint_without_a_receiver_is_dropped(post: Post) -> None:
    async with post.database.transaction() as tx:
        await tx.outbox(WorkAPI, host="gone").look(CTX)
    await post.settled()
    worker = await post.worker()
    async with post.database.transaction() as tx:
        await tx.outbox(WorkAPI, host="h").look(CTX)
    await post.settled()
    assert worker.received == ["look"]


async def test_a_hint_whose_receiver_dies_is_sent_again(post: Post) -> None:
    """It was there, so it may have forgotten."""
    post.faults.rules.append(FaultRule(step="hand_over", when="after", do="fail"))
    worker = await post.worker()
    async with post.database.transaction() as tx:
        await tx.outbox(WorkAPI, host="h").look(CTX)
    await post.settled()
    assert worker.received == ["look", "look"]


async def test_what_a_cancelled_sender_left_is_sent(post: Post) -> None:
    """Cancelled between the commit and the sending: in the database, but not sent."""
    worker = await post.worker()
    await post.outbox.resume()
    real, sender = post.database._connected, asyncio.current_task()

    @asynccontextmanager
    async def cut_off(engine: Any) -> AsyncIterator[Any]:
        async with real(engine) as connection:
            yield connection
        if asyncio.current_task() is sender:
            raise asyncio.CancelledError

    post.database._connected = cut_off  # type: ignore[method-assign,assignment]
    with pytest.raises(asyncio.CancelledError):
        await post.send("a")
    assert worker.received == []
    post.database._connected = real  # type: ignore[method-assign]
    await post.settled()
    assert worker.received == ["a"]


async def test_what_a_failed_transaction_left_is_not_sent(post: Post) -> None:
    worker = await post.worker()
    await post.outbox.resume()
    real = post.outbox.store

    async def broken(connection: Any, pending: Any) -> None:
        await real(connection, pending)
        raise ZeroDivisionError

    post.outbox.store = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await post.send("a")
    assert post.outbox._doubtful
    await until(lambda: not post.outbox._doubtful)
    assert (worker.received, await post.stored()) == ([], [])


# ---- several processes on one table


async def test_messages_of_a_living_process_are_sent_by_no_other(post: Post, tmp_path: Path) -> None:
    other = Post(tmp_path, shared=True)
    post.outbox.shared = True
    other.sees(post)
    for process in (post, other):
        await process.outbox.resume()
    worker = await other.worker()
    await post.send("a")  # no receiver on its bus: it waits
    await other.looks(4 * LOOKS)
    assert worker.received == []
    await post.die()
    await post.settled()
    assert worker.received == ["a"]
    await other.close()


async def test_one_of_many_takes_over_from_the_dead(post: Post, tmp_path: Path) -> None:
    post.outbox.send = lambda messages: None  # type: ignore[method-assign]
    await post.send(*(str(n) for n in range(50)))
    await post.die()
    bus = CountingBus()
    others = [Post(tmp_path, bus, shared=True) for _ in range(4)]
    worker = await others[0].worker()
    for other in others:
        assert await other.outbox.resume() == 0
    await others[0].settled()
    assert worker.received == [str(n) for n in range(50)]
    for other in others:
        await other.close()


async def test_a_process_that_drains_gives_its_messages_up_at_once(post: Post, tmp_path: Path) -> None:
    other = Post(tmp_path, shared=True, look_every=60)
    worker = await other.worker()
    post.outbox.shared = True
    await post.outbox.resume()
    await post.send("a")
    await post.outbox.close()
    assert await other.outbox.resume() == 1
    await other.settled()
    assert worker.received == ["a"]
    await other.close()


async def test_no_process_counts_as_dead_after_an_outage_of_the_database(post: Post, tmp_path: Path) -> None:
    """While it is unreachable no process can increment its number."""
    other = Post(tmp_path, shared=True)
    post.outbox.shared = True
    other.sees(post)
    await post.outbox.resume()
    worker = await other.worker()
    await post.send("a")
    other.outbox._others = {post.outbox.name: (None, LOOKS)}
    real, other.database.reading = other.database.reading, _away  # type: ignore[method-assign,assignment]
    await other.outbox.resume()
    await until(lambda: not other.outbox._others)
    other.database.reading = real  # type: ignore[method-assign]
    await other.looks(2 * LOOKS)
    assert worker.received == []
    await other.close()


@asynccontextmanager
async def _away() -> AsyncIterator[Any]:
    raise errors.ServiceUnavailable(reason="away")
    yield


async def test_a_process_without_messages_writes_nothing(post: Post) -> None:
    post.outbox.shared = True
    await post.outbox.resume()
    await post.worker()
    await post.send("a")
    await post.settled()
    await until(lambda: not post.outbox.sending)
    beat = post.outbox._beat
    await post.looks(LOOKS)
    assert post.outbox._beat == beat


async def test_a_message_that_cannot_be_read_does_not_keep_the_others(post: Post) -> None:
    async with post.database.transaction() as tx:
        await tx.connection.execute(insert(table).values(body=b"\xff nonsense"))
    post.outbox.shared = False
    assert await post.outbox.resume() == 1
    worker = await post.worker()
    await post.send("a")
    await until(post.stored, satisfies=lambda found: len(found) <= 1)
    assert worker.received == ["a"]


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
    assert worker.received == ["a", "b"]


async def test_a_new_message_is_not_taken_for_one_that_was_dropped(post: Post) -> None:
    """Deleted while it is still tried, a message does not leave its number to the next one."""
    await post.send("for nobody", host="gone")
    async with post.database.transaction() as tx:
        await tx.connection.execute(delete(table))
    worker = await post.worker()
    await post.send("a")
    await post.settled()
    assert worker.received == ["a"]
