"""Databases for tests, on the engine that `--database` names: sqlite (the default), postgresql or mariadb.

`url(folder, name)` is where the test keeps the database `name` of this folder: the same for the same folder, so that what a
restarted service finds is there. On a server databases are used again by later tests, with their tables but without rows: to
empty them takes milliseconds, to make them tens of them.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import asyncmy
import asyncpg
import pytest
from sqlalchemy import MetaData, event
from sqlalchemy.engine import make_url

import kilonova
from kilonova.core.db import Database
from kilonova.core.db.migrate import upgrade
from kilonova.settings import DATABASES

KINDS = ("sqlite", "postgresql", "mariadb")
BLANK = "blank"  # names that begin so are of databases without tables, which go with the test
KEPT = "alembic_version"
SEEDED = {  # what a migration writes, as it was
    "revocation_generation": "UPDATE {} SET generation = 0",
    "default_security_group_rules": "DELETE FROM {} WHERE LEFT(description, 6) <> 'Legacy'",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--database", choices=KINDS, default="sqlite", help="the engine on which databases of tests live")


async def statements_of(database: Database) -> list[str]:
    """What is sent to the database from now on: a list that grows."""
    sent: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: sent.append(sql))
    await database.close()  # connections that were open before would not be counted
    return sent


class Files:
    """SQLite: a file in the test's own folder. A service's database is a copy of one that has its tables: to copy it takes less
    than a millisecond, to migrate it tens of them."""

    def __init__(self) -> None:
        self._migrated: dict[str, bytes] = {}

    def url(self, folder: Path, name: str) -> str:
        file = folder / "db" / f"{name}.sqlite"
        if name in DATABASES and not file.exists():
            if name not in self._migrated:
                self._migrated[name] = migrated(name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self._migrated[name])
        return f"sqlite:///{file}"

    def clear(self) -> None:
        """They go with the folder."""


def migrated(service: str) -> bytes:
    """An SQLite file of the service's database, without rows but those that migrations write."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, service)

        async def make() -> None:
            database = Database(f"sqlite:///{file}", MetaData(), name=service)
            await upgrade(database, Path(kilonova.__file__).parent / service / "migrations")
            await database.close()

        thread = threading.Thread(target=asyncio.run, args=(make(),))  # the test's own event loop runs in this one
        thread.start()
        thread.join()
        return file.read_bytes()


class One:
    """A database that another process of the same test has."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, folder: Path, name: str) -> str:
        return self._url

    def clear(self) -> None:
        """The other process does."""


class Server:
    """Databases of one server. Cleaning has an event loop of its own, as connections belong to one."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.free: defaultdict[str, list[str]] = defaultdict(list)
        self.used: dict[tuple[Path, str], str] = {}
        self.made = 0
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._connections: dict[str, Any] = {}

    def url(self, folder: Path, name: str) -> str:
        key = (folder, name)
        if key not in self.used:
            self.used[key] = self.free[name].pop() if self.free[name] else self._make(name)
        return str(self.engine.url_template.format(service=self.used[key]))

    def _make(self, name: str) -> str:
        self.made += 1
        database = f"{name}_{self.made}"
        self.engine.url(database)
        return database

    def clear(self) -> None:
        """Empty what was used: it is free again."""
        for (_, name), database in self.used.items():
            if name.startswith(BLANK):
                self._wait(self.drop(database))
            else:
                self._wait(self.empty(database))
                self.free[name].append(database)
        self.used.clear()

    def close(self) -> None:
        for connection in self._connections.values():
            self._wait(self._close(connection))
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _wait(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def empty(self, database: str) -> None:
        raise NotImplementedError

    async def drop(self, database: str) -> None:
        raise NotImplementedError

    async def _close(self, connection: Any) -> None:
        await connection.close()


class PostgreSQLServer(Server):
    async def _connected(self, database: str) -> Any:
        connection = self._connections.get(database)
        if connection is None or connection.is_closed():
            url = self.engine.url_template.format(service=database)
            connection = self._connections[database] = await asyncpg.connect(url)
        return connection

    async def drop(self, database: str) -> None:
        await (await self._connected("postgres")).execute(f'DROP DATABASE "{database}" WITH (FORCE)')

    async def empty(self, database: str) -> None:
        connection = await self._connected(database)
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = [_cleared(row[0], f'"{row[0]}"') for row in rows if row[0] != KEPT]
        counted = await connection.fetch("SELECT sequencename FROM pg_sequences WHERE last_value IS NOT NULL")
        again = [f"SELECT setval('\"{row[0]}\"', 1, false)" for row in counted]
        await connection.execute(";".join(["SET session_replication_role = replica", *tables, *again]))


class MariaDBServer(Server):
    async def _cursor(self) -> Any:
        connection = self._connections.get("")
        if connection is None or not connection.connected:
            url = make_url(self.engine.url_template)
            connection = self._connections[""] = await asyncmy.connect(
                host=url.host, port=url.port, user=url.username, password=url.password, autocommit=True
            )
        return connection.cursor()

    async def drop(self, database: str) -> None:
        async with await self._cursor() as cursor:
            await cursor.execute(f"DROP DATABASE `{database}`")

    async def empty(self, database: str) -> None:
        async with await self._cursor() as cursor:
            await cursor.execute("SET FOREIGN_KEY_CHECKS = 0, lock_wait_timeout = 20")
            query = "SELECT table_name, auto_increment FROM information_schema.tables WHERE table_schema = %s"
            await cursor.execute(query, (database,))
            for table, following in await cursor.fetchall():
                if table != KEPT:
                    await cursor.execute(_cleared(table, f"`{database}`.`{table}`"))
                if (following or 1) > 1:
                    await cursor.execute(f"ALTER TABLE `{database}`.`{table}` AUTO_INCREMENT = 1")

    async def _close(self, connection: Any) -> None:
        await connection.ensure_closed()


def _cleared(table: str, name: str) -> str:
    return SEEDED.get(table, "DELETE FROM {}").format(name)


SERVERS: dict[str, type[Server]] = {"postgresql": PostgreSQLServer, "mariadb": MariaDBServer}
_current: list[Files | Server | One] = [Files()]


def url(folder: Path, name: str) -> str:
    """Where this test keeps the database `name` of a folder."""
    return _current[0].url(folder, name)


def use(url: str) -> None:
    """All databases of this process are the one at this URL."""
    _current[0] = One(url)


@pytest.fixture(scope="session")
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--database"))


@pytest.fixture(scope="session", autouse=True)
def _database_server(request: pytest.FixtureRequest, database_kind: str) -> Iterator[None]:
    if database_kind not in SERVERS:
        yield
        return
    server = SERVERS[database_kind](request.getfixturevalue(database_kind))
    _current[0] = server
    yield
    server.close()


@pytest.fixture(autouse=True)
def _databases(_database_server: None) -> Iterator[None]:
    yield
    _current[0].clear()
