"""One database of one service: SQLAlchemy Core, asynchronous, with short transactions owned by `logic/`.

async with database.transaction(bus) as tx:      # BEGIN IMMEDIATE on SQLite
    await servers.insert(tx, rows)
    await tx.outbox(ConductorAPI).build_servers(ctx, build)   # sent after the commit, never lost
async with database.reading() as connection: ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import MetaData, event
from sqlalchemy import Row as SqlRow
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from kilonova.core import errors
from kilonova.core.bus.interface import Interface

if TYPE_CHECKING:
    from kilonova.core.db.outbox import Outbox

I = TypeVar("I", bound=Interface)  # noqa: E741
Connection = AsyncConnection
Row = SqlRow[*tuple[Any, ...]]
DuplicateRow = IntegrityError
AWAY = (OperationalError, PoolTimeout, ConnectionError)  # asyncpg's refused connections come as they are
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}


class Transaction:
    """An open write transaction; `connection` is for `store/`, `outbox` for messages that must leave with it."""

    def __init__(self, connection: Connection, outbox: Outbox | None) -> None:
        self.connection = connection
        self._outbox = outbox
        self.pending: list[Any] = []

    def outbox(self, interface: type[I], *, host: str | None = None) -> I:
        """A client whose casts are written with this transaction and sent once it is committed."""
        if self._outbox is None:
            raise RuntimeError("this database has no outbox")
        return self._outbox.client(self, interface, host)


class Database:
    """`url` as in the config: sqlite:///PATH, postgresql://…, mysql://…. `statements` counts what was sent."""

    def __init__(self, url: str, metadata: MetaData, *, name: str) -> None:
        self.name = name
        self.metadata = metadata
        parsed = make_url(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.url = parsed.set(drivername=DRIVERS[parsed.get_backend_name()])
        if self.is_sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        self.engine = create_async_engine(self.url, pool_size=8, max_overflow=8, pool_pre_ping=not self.is_sqlite)
        self.statements = 0
        self.outbox: Outbox | None = None
        self._writer = asyncio.Lock()
        event.listen(self.engine.sync_engine, "before_cursor_execute", self._count)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _set_up_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    def _count(self, *_: Any) -> None:
        self.statements += 1

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for reads; sees committed state."""
        try:
            async with self.engine.connect() as connection:
                yield connection
        except AWAY as error:
            raise self._unavailable(error) from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A write transaction: committed on leaving, rolled back on an exception. On SQLite writers take turns here, so
        that none of them waits in the engine's busy handler."""
        async with self._writer if self.is_sqlite else nullcontext(), self._write() as tx:
            yield tx
        if tx.pending and self.outbox is not None:
            self.outbox.send(tx.pending)

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[Transaction]:
        try:
            async with self.engine.connect() as raw:
                connection = await raw.execution_options(kilonova_write=True)
                async with connection.begin():
                    tx = Transaction(connection, self.outbox)
                    yield tx
                    if tx.pending and self.outbox is not None:
                        await self.outbox.store(connection, tx.pending)
        except AWAY as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> errors.ServiceUnavailable:
        reason = next(iter(str(getattr(error, "orig", None) or error).splitlines()), type(error).__name__)
        return errors.ServiceUnavailable(reason=f"{self.name} database: {reason}", headers={"Retry-After": "5"})

    async def close(self) -> None:
        await self.engine.dispose()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    """WAL lets readers and the one writer work side by side; a commit survives a killed process."""
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "busy_timeout=10000",
        "cache_size=-8000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    """Writers take the lock at once (no failing upgrade in the middle); reads need no transaction at all."""
    if connection.get_execution_options().get("kilonova_write"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
