"""Transactions, the outbox that rides on them, migrations."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, event, insert, select

import kilonova
from kilonova.core import errors
from kilonova.core.bus import Interface, MemoryBus, cast
from kilonova.core.context import RequestContext
from kilonova.core.db import Database
from kilonova.core.db.engine import DuplicateRow
from kilonova.core.db.migrate import drift, head, upgrade, version
from kilonova.core.db.outbox import Outbox, outbox_table

CTX = RequestContext(request_id="req-1", user_id="u")
metadata = MetaData()
things = Table("things", metadata, Column("id", Integer, primary_key=True), Column("name", String(50), unique=True))
outbox = outbox_table(metadata)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await make(tmp_path)
    yield database
    await database.close()


async def make(path: Path) -> Database:
    database = Database(f"sqlite:///{path}/deep/test.sqlite", metadata, name="test")
    async with database.transaction() as tx:
        await tx.connection.run_sync(metadata.create_all)
    return database


async def names(database: Database) -> list[str]:
    async with database.reading() as connection:
        return [row.name for row in await connection.execute(select(things.c.name).order_by(things.c.id))]


async def put(database: Database, name: str) -> None:
    async with database.transaction() as tx:
        await tx.connection.execute(insert(things).values(name=name))


# ---- transactions


async def test_commit_and_rollback(database: Database) -> None:
    await put(database, "kept")
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - the transaction ends by it
        async with database.transaction() as tx:
            await tx.connection.execute(insert(things).values(name="lost"))
            raise ZeroDivisionError
    with pytest.raises(DuplicateRow):
        await put(database, "kept")
    await put(database, "after")
    assert await names(database) == ["kept", "after"]


async def test_a_cancelled_transaction_is_rolled_back_and_lets_the_next_in(database: Database) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with database.transaction() as tx:
            await tx.connection.execute(insert(things).values(name="lost"))
            inside.set()
            await asyncio.sleep(60)

    task = asyncio.ensure_future(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(put(database, "next"), 5)
    assert await names(database) == ["next"]


async def test_writers_take_turns_and_never_work_on_old_facts(database: Database) -> None:
    async def count_up() -> None:
        async with database.transaction() as tx:
            had = len((await tx.connection.execute(select(things.c.id))).all())
            await asyncio.sleep(0)
            await tx.connection.execute(insert(things).values(name=str(had)))

    await asyncio.gather(*(count_up() for _ in range(30)))
    assert sorted(map(int, await names(database))) == list(range(30))


async def test_two_processes_do_not_lose_each_others_writes(database: Database, tmp_path: Path) -> None:
    other = await make(tmp_path)

    async def count_up(which: Database) -> None:
        async with which.transaction() as tx:
            had = len((await tx.connection.execute(select(things.c.id))).all())
            await tx.connection.execute(insert(things).values(name=str(had)))

    await asyncio.gather(*(count_up(which) for _ in range(8) for which in (database, other)))
    assert sorted(map(int, await names(other))) == list(range(16))
    await other.close()


async def test_readers_see_committed_state_while_somebody_writes(database: Database) -> None:
    await put(database, "old")
    async with database.transaction() as tx:
        await tx.connection.execute(insert(things).values(name="new"))
        assert await asyncio.wait_for(names(database), 5) == ["old"]
    assert await names(database) == ["old", "new"]


async def test_statements_are_counted(database: Database) -> None:
    before = database.statements
    await names(database)
    assert database.statements == before + 1
    await put(database, "x")
    assert database.statements <= before + 4  # BEGIN, INSERT, perhaps COMMIT


async def test_a_locked_database_is_unavailable_for_a_while(database: Database, tmp_path: Path) -> None:
    await database.close()
    event.listen(database.engine.sync_engine, "connect", lambda raw, _: raw.execute("PRAGMA busy_timeout=20"))
    holder = sqlite3.connect(tmp_path / "deep" / "test.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.ServiceUnavailable, match="test database: database is locked") as caught:
        await put(database, "x")
    assert int(caught.value.headers["Retry-After"]) > 0
    assert await names(database) == []  # readers are not hindered
    holder.execute("COMMIT")
    holder.close()
    await put(database, "x")


async def test_a_database_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "folder.sqlite").mkdir()
    database = Database(f"sqlite:///{tmp_path}/folder.sqlite", metadata, name="test")
    for work in (names(database), put(database, "x")):
        with pytest.raises(errors.ServiceUnavailable, match="test database: unable to open") as caught:
            await work
        assert "Retry-After" in caught.value.headers
    await database.close()


async def test_too_many_readers_at_once_are_told_to_come_again(database: Database) -> None:
    database.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    held = [database.reading() for _ in range(16)]
    for reader in held:
        await reader.__aenter__()
    with pytest.raises(errors.ServiceUnavailable):
        await names(database)
    for reader in held:
        await reader.__aexit__(None, None, None)
    assert await names(database) == []


# ---- outbox


class NoteAPI(Interface):
    topic = "notes"

    @cast
    async def note(self, ctx: RequestContext, text: str) -> None: ...


class Notes(NoteAPI):
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.heard: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    async def note(self, ctx: RequestContext, text: str) -> None:
        self.begun.append(text)
        await self.go.wait()
        self.heard.append(text)


class Post:
    """A database with an outbox; `listen` lets somebody receive."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def open(self, bus: MemoryBus | None = None) -> Post:
        self.bus = bus or MemoryBus()
        self.database = await make(self.path)
        self.outbox = Outbox(self.database, outbox, self.bus, retry=0.02)
        return self

    async def listen(self) -> Notes:
        notes = Notes()
        await self.bus.serve(NoteAPI, notes, host="h")
        return notes

    async def send(self, *texts: str, fail: bool = False, host: str | None = None) -> None:
        async with self.database.transaction() as tx:
            for text in texts:
                await tx.connection.execute(insert(things).values(name=text))
                await tx.outbox(NoteAPI, host=host).note(CTX, text)
            if fail:
                raise ZeroDivisionError

    async def stored(self) -> int:
        async with self.database.reading() as connection:
            return len((await connection.execute(select(outbox.c.id))).all())

    async def settled(self) -> None:
        async with asyncio.timeout(5):
            while await self.stored():
                await asyncio.sleep(0.005)

    async def close(self) -> None:
        await self.outbox.close()
        await self.bus.close()
        await self.database.close()


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    post = await Post(tmp_path).open()
    yield post
    await post.close()


async def test_a_message_leaves_with_its_transaction(post: Post) -> None:
    notes = await post.listen()
    async with post.database.transaction() as tx:
        await tx.outbox(NoteAPI).note(CTX, "a")
        await asyncio.sleep(0.02)
        assert notes.begun == []
    await post.settled()
    assert notes.heard == ["a"]


async def test_a_rollback_sends_nothing(post: Post) -> None:
    notes = await post.listen()
    with pytest.raises(ZeroDivisionError):
        await post.send("a", fail=True)
    await asyncio.sleep(0.05)
    assert (notes.begun, await post.stored(), await names(post.database)) == ([], 0, [])


async def test_nothing_is_doubled_or_lost(post: Post) -> None:
    notes = await post.listen()
    await asyncio.gather(*(post.send(*(f"{n}-{m}" for m in range(3))) for n in range(10)))
    await post.settled()
    assert sorted(notes.heard) == sorted(f"{n}-{m}" for n in range(10) for m in range(3))


async def test_it_is_tried_until_somebody_receives(post: Post) -> None:
    await post.send("a")
    await asyncio.sleep(0.06)
    assert await post.stored() == 1
    notes = await post.listen()
    await post.settled()
    assert notes.heard == ["a"]


async def test_it_is_kept_until_the_receiver_has_finished(post: Post) -> None:
    notes = await post.listen()
    notes.go.clear()
    await post.send("a")
    await asyncio.sleep(0.05)
    assert (notes.begun, await post.stored()) == (["a"], 1)
    notes.go.set()
    await post.settled()


async def test_a_receiver_that_dies_half_way_gets_it_again(post: Post) -> None:
    notes = await post.listen()
    notes.go.clear()
    await post.send("a")
    await asyncio.sleep(0.02)
    await post.bus.close()  # the handler is cut off
    await asyncio.sleep(0.05)
    assert await post.stored() == 1
    again = await post.listen()
    await post.settled()
    assert (notes.heard, again.heard) == ([], ["a"])


async def test_a_process_that_dies_after_the_commit_sends_when_it_starts_again(tmp_path: Path) -> None:
    dying = await Post(tmp_path).open()
    dying.outbox.send = lambda pending: None  # type: ignore[method-assign]
    await dying.send("a", "b")
    await dying.close()
    post = await Post(tmp_path).open()
    notes = await post.listen()
    assert await post.outbox.resume() == 2
    await post.settled()
    assert sorted(notes.heard) == ["a", "b"]
    assert await post.outbox.resume() == 0
    await post.close()


async def test_stopping_while_nobody_receives_keeps_the_message(tmp_path: Path) -> None:
    post = await Post(tmp_path).open()
    await post.send("a")
    await post.close()
    post = await Post(tmp_path).open()
    notes = await post.listen()
    assert await post.outbox.resume() == 1
    await post.settled()
    assert notes.heard == ["a"]
    await post.close()


async def test_who_asked_and_the_host_travel_along(post: Post) -> None:
    heard: list[RequestContext] = []

    class Manager(NoteAPI):
        async def note(self, ctx: RequestContext, text: str) -> None:
            heard.append(ctx)

    await post.listen()
    await post.bus.serve(NoteAPI, Manager(), host="h2")
    await post.send("a", host="h2")
    await post.settled()
    assert heard == [CTX]


async def test_messages_delivered_together_are_deleted_together(post: Post) -> None:
    notes = await post.listen()
    notes.go.clear()
    await post.send(*(str(n) for n in range(20)))
    before = post.database.statements
    notes.go.set()
    async with asyncio.timeout(5):
        while len(notes.heard) < 20:
            await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert post.database.statements - before <= 6  # not one each
    assert await post.stored() == 0


async def test_a_failed_deletion_is_made_up_for(post: Post) -> None:
    await post.listen()
    real, failures = post.database.transaction, 1

    def flaky() -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise errors.ServiceUnavailable(reason="locked")
        return real()

    await post.send("a")
    post.database.transaction = flaky  # type: ignore[method-assign]
    await asyncio.sleep(0.05)
    post.database.transaction = real  # type: ignore[method-assign]
    await post.send("b")
    await post.settled()


async def test_a_database_without_outbox_says_so(database: Database) -> None:
    with pytest.raises(RuntimeError, match="no outbox"):
        async with database.transaction() as tx:
            tx.outbox(NoteAPI)


def test_a_message_is_plain_data() -> None:
    """What is stored is read again by the next release: no pickles, no classes' names."""
    body = msgspec.msgpack.encode({"a": 1})
    assert b"kilonova" not in body


# ---- migrations


def migrated_services() -> list[str]:
    root = Path(kilonova.__file__).parent
    return sorted(path.parent.relative_to(root).as_posix() for path in root.glob("**/migrations") if path.is_dir())


def tables_of(service: str) -> MetaData:
    """The MetaData of the service's tables module."""
    package = importlib.import_module("kilonova." + service.replace("/", "."))
    assert any(module.name == "tables" for module in pkgutil.iter_modules(package.__path__))
    tables = importlib.import_module(f"{package.__name__}.tables")
    (found,) = {id(value): value for value in vars(tables).values() if isinstance(value, MetaData)}.values()
    return found


def test_all_services_are_found() -> None:
    assert {"compute", "identity", "image", "network", "placement"} <= set(migrated_services())


@pytest.mark.parametrize("service", migrated_services())
async def test_migrations_make_the_tables_that_the_code_has(service: str, tmp_path: Path) -> None:
    migrations = Path(kilonova.__file__).parent / service / "migrations"
    database = Database(f"sqlite:///{tmp_path}/x.sqlite", tables_of(service), name=service)
    assert await version(database) is None
    applied = await upgrade(database, migrations)
    assert applied
    assert await version(database) == head(migrations) == applied[-1]
    assert await upgrade(database, migrations) == []
    assert await drift(database) == []
    await database.close()


async def test_drift_is_seen(tmp_path: Path) -> None:
    migrations = Path(kilonova.__file__).parent / "placement" / "migrations"
    more = MetaData()
    Table("unheard_of", more, Column("id", Integer, primary_key=True))
    database = Database(f"sqlite:///{tmp_path}/x.sqlite", more, name="x")
    await upgrade(database, migrations)
    assert await drift(database)
    await database.close()
