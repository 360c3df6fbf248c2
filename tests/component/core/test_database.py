"""Transactions, the outbox that rides on them, migrations."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import importlib
import pkgutil
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, text

import kilonova
from kilonova.core import errors, log
from kilonova.core.bus import Interface, MemoryBus, cast
from kilonova.core.config import ConfigError
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, DuplicateRow
from kilonova.core.db.locks import hold, locks_table
from kilonova.core.db.migrate import NotMigrated, check, drift, head, upgrade, version
from kilonova.core.db.outbox import Outbox, outbox_table
from kilonova.core.db.sqlite import LOG_KEPT, checkpoint
from tests import databases
from tests.databases import statements_of
from tests.eventually import PATIENCE, until

SECRET = "hunter2-very-secret"
CTX = RequestContext(request_id="req-1", user_id="u")
metadata = MetaData()
things = Table("things", metadata, Column("id", Integer, primary_key=True), Column("name", String(50), unique=True))
outbox, locks = outbox_table(metadata), locks_table(metadata)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await make(tmp_path)
    yield database
    await database.close()


async def make(path: Path) -> Database:
    database = Database(databases.url(path / "deep", "core"), metadata, name="test")
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
    await asyncio.wait_for(put(database, "next"), PATIENCE)
    assert await names(database) == ["next"]


async def count_up(database: Database) -> None:
    async with database.transaction() as tx:
        await hold(tx.connection, locks, "counting")
        had = len((await tx.connection.execute(select(things.c.id))).all())
        await asyncio.sleep(0)
        await tx.connection.execute(insert(things).values(name=str(had)))


async def test_writers_take_turns_and_never_work_on_old_facts(database: Database) -> None:
    await asyncio.gather(*(count_up(database) for _ in range(30)))
    assert sorted(map(int, await names(database))) == list(range(30))


async def test_two_processes_do_not_lose_each_others_writes(database: Database, tmp_path: Path) -> None:
    other = await make(tmp_path)
    await asyncio.gather(*(count_up(which) for _ in range(8) for which in (database, other)))
    assert sorted(map(int, await names(other))) == list(range(16))
    await other.close()


async def test_readers_see_committed_state_during_a_write(database: Database) -> None:
    await put(database, "old")
    async with database.transaction() as tx:
        await tx.connection.execute(insert(things).values(name="new"))
        assert await asyncio.wait_for(names(database), PATIENCE) == ["old"]
    assert await names(database) == ["old", "new"]


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[Database]:
    """A SQLite database, whatever the engine of the other tests."""
    database = Database(f"sqlite:///{tmp_path}/file.sqlite", metadata, name="test")
    async with database.transaction() as tx:
        await tx.connection.run_sync(metadata.create_all)
    yield database
    await database.close()


async def test_a_locked_file_is_unavailable_for_a_while(
    file: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilonova.core.db.sqlite.LOCK_TIMEOUT", 0.05)
    holder = sqlite3.connect(tmp_path / "file.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.ServiceUnavailable, match="the test database is unreachable") as caught:
        await put(file, "x")
    assert int(caught.value.headers["Retry-After"]) > 0
    assert await names(file) == []  # readers are not hindered
    holder.execute("COMMIT")
    holder.close()
    await put(file, "x")


async def test_while_another_process_writes_the_loop_goes_on(file: Database, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "file.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(put(file, "x"))
    for _ in range(3):
        assert await names(file) == []
        await asyncio.sleep(0.01)
    assert not writing.done()
    holder.execute("COMMIT")
    holder.close()
    await writing
    assert await names(file) == ["x"]


async def test_the_log_is_moved_into_the_file(file: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kilonova.core.db.sqlite.COMMITS_PER_CHECKPOINT", 3)
    for number in range(8):
        await put(file, f"n{number}")
    await until(lambda: in_file_alone(tmp_path / "file.sqlite") >= 3)


async def test_the_log_does_not_grow_while_everybody_writes(
    file: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kilonova.core.db.sqlite.COMMITS_PER_CHECKPOINT", 20)
    log, anew, commits = tmp_path / "file.sqlite-wal", 20, 0

    async def write(writer: int) -> None:
        nonlocal commits
        while begun_anew(log) < anew:
            await put(file, f"{writer}-{commits}")
            commits += 1
            assert commits < anew * 300, "the log is hardly ever begun anew"  # some 30 are usual
            await asyncio.sleep(0)  # the loop has other things to do, too

    await asyncio.gather(*map(write, range(3)), names(file))
    assert len(await names(file)) == commits


async def test_what_a_killed_process_left_in_the_log_is_cut(tmp_path: Path) -> None:
    """And what grows while it can't be moved, as it begins anew."""
    path = tmp_path / "file.sqlite"
    script = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA journal_mode=WAL'); c.execute('PRAGMA wal_autocheckpoint=0')\n"
        "c.execute('CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)')\n"
        "for n in range(20):\n"
        "    c.execute('INSERT INTO things (name) VALUES (?)', (f'{n}' + 'x' * 2_000_000,)); c.commit()\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    log = Path(f"{path}-wal")
    assert log.stat().st_size > 2 * LOG_KEPT
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("SELECT count(*) FROM things").fetchone()
        await Database(f"sqlite:///{path}", metadata, name="test").close()
        assert log.stat().st_size > 2 * LOG_KEPT, "another process may be in the middle of a commit"
    database = Database(f"sqlite:///{path}", metadata, name="test")
    assert not log.exists() or log.stat().st_size == 0
    assert len(await names(database)) == 20
    async with database.reading() as reader:  # keeps the log from beginning anew
        await reader.exec_driver_sql("BEGIN")
        (await reader.execute(select(things))).all()
        for number in range(20):
            await put(database, f"{number}" + "y" * 2_000_000)
        assert log.stat().st_size > 2 * LOG_KEPT
        await reader.exec_driver_sql("COMMIT")
    checkpoint(str(path), "RESTART")
    await put(database, "z")
    assert log.stat().st_size <= LOG_KEPT
    await database.close()


def begun_anew(log: Path) -> int:
    """How often a log was, as its head says."""
    with log.open("rb") as head:
        return int.from_bytes(head.read(16)[12:], "big")


def in_file_alone(path: Path) -> int:
    """Rows that are in the file, whatever is still in its log."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as alone:
        try:
            return int(alone.execute("SELECT count(*) FROM things").fetchone()[0])
        except sqlite3.DatabaseError:  # the table too is still in the log, or half of it is on its way
            return 0


async def test_a_file_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "folder.sqlite").mkdir()
    database = Database(f"sqlite:///{tmp_path}/folder.sqlite", metadata, name="test")
    for work in (names, lambda it: put(it, "x"), Database.check):
        with pytest.raises(errors.ServiceUnavailable, match="the test database is unreachable") as caught:
            await work(database)
        assert "Retry-After" in caught.value.headers
    await database.close()


@pytest.mark.parametrize("text", ["x" * 51, "nul \x00 byte"])
async def test_a_value_that_fits_no_column_is_the_clients_fault(database: Database, text: str) -> None:
    """SQLite takes everything, as does MariaDB the zero byte; no engine raises an error of its own type."""
    with suppress(errors.BadRequest):
        await put(database, text)
    assert await names(database) in ([], [text])
    if not database.is_sqlite and len(text) > 50:
        assert await names(database) == []


@pytest.mark.parametrize(
    "statement",
    [insert(things).values(id=1, name=SECRET), insert(things).values(id=7, name=SECRET * 9),
     text("SELECT :secret FROM nowhere").bindparams(secret=SECRET),
     text("INSERT INTO things (id, name) VALUES (:secret, 'x')").bindparams(secret=SECRET)],
    ids=["taken", "too long", "no table", "wrong type"],
)  # fmt: skip
async def test_errors_do_not_show_what_was_written(
    database: Database, statement: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = structlog.get_config()
    await put(database, SECRET)
    log.configure(level="debug")
    try:
        async with database.transaction() as tx:
            await tx.connection.execute(statement)
    except Exception as error:
        log.get("test").error("failed", exc_info=error, error=error, text=str(error))
    finally:
        structlog.configure(**kept)
    assert SECRET not in capsys.readouterr().err


async def test_a_number_of_more_than_64_bits_is_the_clients_fault(database: Database) -> None:
    with pytest.raises(errors.BadRequest):
        async with database.transaction() as tx:
            await tx.connection.execute(insert(things).values(id=2**70, name="x"))


async def test_too_many_readers_at_once_get_503_with_retry_after(database: Database) -> None:
    """A server has so many connections for us; SQLite, which has no limit, as many as are asked for."""
    if not database.is_sqlite:
        database.engine.pool._timeout = 0.05
    held = [database.reading() for _ in range(16)]
    for reader in held:
        await reader.__aenter__()
    if database.is_sqlite:
        assert await names(database) == []
    else:
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
        self.received: list[str] = []
        self.go = asyncio.Event()
        self.go.set()

    async def note(self, ctx: RequestContext, text: str) -> None:
        self.begun.append(text)
        await self.go.wait()
        self.received.append(text)


class Post:
    """A database with an outbox; `listen` starts a receiver."""

    def __init__(self, path: Path) -> None:
        self.path = path

    async def open(self) -> Post:
        self.bus = MemoryBus()
        self.database = await make(self.path)
        self.outbox = Outbox(self.database, outbox, self.bus, retry=0.02, shared=False)
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
        await until(self.stored, satisfies=lambda found: not found)

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
    assert notes.received == ["a"]


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
    assert sorted(notes.received) == sorted(f"{n}-{m}" for n in range(10) for m in range(3))


async def test_it_is_retried_until_there_is_a_receiver(post: Post) -> None:
    await post.send("a")
    await asyncio.sleep(0.06)
    assert await post.stored() == 1
    notes = await post.listen()
    await post.settled()
    assert notes.received == ["a"]


async def test_it_is_kept_until_the_receiver_has_finished(post: Post) -> None:
    notes = await post.listen()
    notes.go.clear()
    await post.send("a")
    await until(lambda: notes.begun)
    await asyncio.sleep(0.05)
    assert (notes.begun, await post.stored()) == (["a"], 1)
    notes.go.set()
    await post.settled()


async def test_a_receiver_that_dies_half_way_gets_it_again(post: Post) -> None:
    notes = await post.listen()
    notes.go.clear()
    await post.send("a")
    await until(lambda: notes.begun)
    await post.bus.close()  # the handler is cut off
    await asyncio.sleep(0.05)
    assert await post.stored() == 1
    again = await post.listen()
    await post.settled()
    assert (notes.received, again.received) == ([], ["a"])


async def test_a_process_that_dies_after_the_commit_sends_when_it_starts_again(tmp_path: Path) -> None:
    dying = await Post(tmp_path).open()
    dying.outbox.send = lambda pending: None  # type: ignore[method-assign]
    await dying.send("a", "b")
    await dying.close()
    post = await Post(tmp_path).open()
    notes = await post.listen()
    assert await post.outbox.resume() == 2
    await post.settled()
    assert sorted(notes.received) == ["a", "b"]
    assert await post.outbox.resume() == 0
    await post.close()


async def test_stopping_without_a_receiver_keeps_the_message(tmp_path: Path) -> None:
    post = await Post(tmp_path).open()
    await post.send("a")
    await post.close()
    post = await Post(tmp_path).open()
    notes = await post.listen()
    assert await post.outbox.resume() == 1
    await post.settled()
    assert notes.received == ["a"]
    await post.close()


async def test_caller_and_host_travel_with_the_message(post: Post) -> None:
    received: list[RequestContext] = []

    class Manager(NoteAPI):
        async def note(self, ctx: RequestContext, text: str) -> None:
            received.append(ctx)

    await post.listen()
    await post.bus.serve(NoteAPI, Manager(), host="h2")
    await post.send("a", host="h2")
    await post.settled()
    assert received == [CTX]


async def test_messages_delivered_together_are_deleted_together(post: Post) -> None:
    notes = await post.listen()
    notes.go.clear()
    await post.send(*(str(n) for n in range(20)))
    sent = await statements_of(post.database)
    notes.go.set()
    await until(lambda: not post.outbox.sending)
    assert 0 < len(sent) <= 6  # not one each
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


async def test_a_database_without_outbox_is_an_error(database: Database) -> None:
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
    return sorted(path.parents[1].relative_to(root).as_posix() for path in root.glob("**/migrations/versions"))


def tables_of(service: str) -> MetaData:
    """The MetaData of the service's tables module."""
    package = importlib.import_module("kilonova." + service.replace("/", "."))
    assert any(module.name == "tables" for module in pkgutil.iter_modules(package.__path__))
    tables = importlib.import_module(f"{package.__name__}.tables")
    (found,) = {id(value): value for value in vars(tables).values() if isinstance(value, MetaData)}.values()
    return found


def test_all_services_are_found() -> None:
    assert {"compute", "identity", "image", "network", "placement"} <= set(migrated_services())


def migrations_of(service: str) -> Path:
    return Path(kilonova.__file__).parent / service / "migrations"


@pytest.fixture
async def blank(tmp_path: Path) -> AsyncIterator[Callable[[str], Database]]:
    """Makes Database objects of one database that has no tables, for a service."""
    made: list[Database] = []

    def make(service: str) -> Database:
        made.append(Database(databases.url(tmp_path, f"{databases.BLANK}_{service}"), tables_of(service), name=service))
        return made[-1]

    yield make
    for database in made:
        await database.close()


@pytest.mark.parametrize("service", migrated_services())
async def test_migrations_make_the_tables_that_the_code_has(service: str, blank: Callable[[str], Database]) -> None:
    database, migrations = blank(service), migrations_of(service)
    assert await version(database) is None
    with pytest.raises(NotMigrated, match=f"the {service} database is at revision none.*run `kilonova db upgrade`"):
        await check(database, migrations)
    applied = await upgrade(database, migrations)
    assert applied
    assert await version(database) == head(migrations) == applied[-1]
    await check(database, migrations)
    assert await upgrade(database, migrations) == []
    assert await drift(database) == []


async def test_of_many_that_migrate_at_once_one_does_the_work(blank: Callable[[str], Database]) -> None:
    migrations = migrations_of("compute")
    many = [blank("compute") for _ in range(4)]
    applied = await asyncio.gather(*(upgrade(database, migrations) for database in many))
    assert sum(map(bool, applied)) == 1
    assert await drift(many[0]) == []


async def test_a_database_of_a_newer_release_is_left_alone(blank: Callable[[str], Database], tmp_path: Path) -> None:
    database, migrations = blank("placement"), migrations_of("placement")
    await upgrade(database, migrations)
    async with database.transaction() as tx:
        await tx.connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for work in (check, upgrade):
        with pytest.raises(NotMigrated, match=r"at revision 9999, .* it belongs to a newer release"):
            await work(database, migrations)


async def test_drift_is_seen(blank: Callable[[str], Database]) -> None:
    database = blank("placement")
    database.metadata = MetaData()
    Table("unheard_of", database.metadata, Column("id", Integer, primary_key=True))
    await upgrade(database, migrations_of("placement"))
    assert await drift(database)


async def test_names_that_look_alike_are_different_names(blank: Callable[[str], Database]) -> None:
    """Upper and lower case, accents, trailing spaces: MariaDB's usual collation takes them for the same."""
    database = blank("placement")
    await upgrade(database, migrations_of("placement"))
    providers = database.metadata.tables["resource_providers"]
    alike = ["a", "A", "a ", "ä", "å"]
    async with database.transaction() as tx:
        rows = [{"uuid": str(n), "name": name, "generation": 0} for n, name in enumerate(alike)]
        await tx.connection.execute(insert(providers), rows)
    async with database.reading() as connection:
        for name in alike:
            found = await connection.execute(select(providers.c.name).where(providers.c.name == name))
            assert found.scalars().all() == [name]


async def test_microseconds_and_long_values_are_kept(blank: Callable[[str], Database]) -> None:
    database = blank("compute")
    await upgrade(database, migrations_of("compute"))
    faults, specs = (database.metadata.tables[name] for name in ("server_faults", "request_specs"))
    moment, long = dt.datetime(2026, 1, 2, 3, 4, 5, 678901), "ü" * 100_000
    fault = {"server_uuid": "u", "code": 500, "message": "m", "details": long, "host": None, "created_at": moment}
    async with database.transaction() as tx:
        await tx.connection.execute(insert(faults), [fault])
        await tx.connection.execute(insert(specs), [{"server_uuid": "u", "spec": b"\x00\xff" * 100_000}])
    async with database.reading() as connection:
        row = (await connection.execute(select(faults))).one()
        assert (row.created_at, row.details) == (moment, long)
        assert (await connection.execute(select(specs.c.spec))).scalar() == b"\x00\xff" * 100_000


async def test_addresses_that_are_there_become_128_bits(blank: Callable[[str], Database], tmp_path: Path) -> None:
    database, old = blank("network"), tmp_path / "migrations"
    shutil.copytree(migrations_of("network"), old)
    for file in (old / "versions").glob("*.py"):
        if file.name >= "0006":
            file.unlink()
    await upgrade(database, old)
    standard = "id, project_id, name, description, created_at, updated_at, revision_number"
    plain = "'p', '', '', 'now', 'now', 1"
    given = [2**24 * 10 + 255, 2**32 - 1, 1]
    async with database.transaction() as tx:
        for statement in (
            f"INSERT INTO networks ({standard}, admin_state_up, shared, external, is_default, mtu, port_security_enabled, "
            f"status, network_type, availability_zone_hints) VALUES ('n', {plain}, TRUE, FALSE, FALSE, FALSE, 1500, TRUE, "
            "'ACTIVE', 'vxlan', '[]')",
            f"INSERT INTO subnets ({standard}, network_id, ip_version, cidr, enable_dhcp, allocation_pools, dns_nameservers, "
            f"host_routes, service_types, next_address, born) VALUES ('s', {plain}, 'n', 4, '10.0.0.0/8', TRUE, '[]', '[]', "
            "'[]', '[]', 4294967295, 1)",
            f"INSERT INTO ports ({standard}, network_id, mac_address, admin_state_up, status, device_id, device_owner, "
            f"port_security_enabled, allowed_address_pairs, dns_name, host_id, vnic_type, profile) VALUES ('o', {plain}, 'n', "
            "'m', TRUE, 'DOWN', '', '', TRUE, '[]', '', '', 'normal', '{}')",
            *(
                "INSERT INTO ip_allocations (port_id, subnet_id, address, ip_address) "
                f"VALUES ('o', 's', {address}, '{address}')"
                for address in given
            ),
        ):
            await tx.connection.execute(text(statement))
    await upgrade(database, migrations_of("network"))
    assert await drift(database) == []
    held, subnets = (database.metadata.tables[name] for name in ("ip_allocations", "subnets"))
    async with database.transaction() as tx:
        large = {"port_id": "o", "subnet_id": "s", "address": 2**128 - 1, "ip_address": "large"}
        await tx.connection.execute(insert(held), [large])
    async with database.reading() as connection:
        rows = (await connection.execute(select(held.c.address, held.c.ip_address).order_by(held.c.address))).all()
        assert [row.address for row in rows] == [1, 2**24 * 10 + 255, 2**32 - 1, 2**128 - 1]
        assert all(row.ip_address == str(row.address) for row in rows[:3])
        within = select(held.c.address).where(held.c.address.between(2, 2**32))
        assert set((await connection.execute(within)).scalars()) == set(given[:2])
        assert (await connection.execute(select(subnets.c.search_from))).scalar() == 2**32 - 1
    with pytest.raises(DuplicateRow):
        async with database.transaction() as tx:
            await tx.connection.execute(insert(held), [large])


# ---- URLs


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", r"\[database\] x: not a URL"),
        ("oracle://h/x", "oracle:// is not known; use sqlite, postgresql or mysql"),
        ("postgresql://h/x?sslmode=maybe", "sslmode=maybe; use disable, require"),
        ("mysql://h/x?pool_size=many", "pool_size=many is not a number"),
        ("mysql://h/x?sslmode=verify-full&sslrootcert=/nowhere.pem", "TLS files"),
    ],
)
def test_a_wrong_url_is_named_in_the_error(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Database(url, metadata, name="x")


def test_a_password_may_hold_anything() -> None:
    url = Database("postgresql://u:p%40%2F%3A%23%25@h:1/x", metadata, name="x").url
    assert (url.password, "p@/" in str(url)) == ("p@/:#%", False)
