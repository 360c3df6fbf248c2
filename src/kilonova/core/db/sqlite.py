"""SQLite on the event loop itself: a statement takes tens of microseconds, handing it to a thread and back ten times that.

Nothing here waits for long: readers and the writer do not hinder each other (WAL), a write lock that another process holds is
asked for again and again from the loop, and what waits for the disk (the checkpoint) runs on a thread. The log begins anew only
where all of it is in the file, which never happens by itself while a connection writes: the last part is brought over while
writers wait. The classes have what is used of SQLAlchemy's AsyncEngine and AsyncConnection.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, CursorResult, Dialect
from sqlalchemy.engine.base import Transaction
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

BEGIN = "BEGIN IMMEDIATE"
LOCK_TIMEOUT = 10.0  # seconds to ask for another process's write lock
LOCK_PAUSE = 0.005
COMMITS_PER_CHECKPOINT = 500
CHECKPOINT_TIMEOUT = 0.1  # seconds to wait for other processes; what can't be done now, the next one does
LOG_KEPT = 16 << 20  # bytes of an empty log
KEPT = 4  # idle connections
PRAGMAS = (
    "busy_timeout=10000",  # milliseconds; for the next one, which needs the file for itself
    "journal_mode=WAL",
    "busy_timeout=20",  # for what WAL does not cover
    "synchronous=NORMAL",  # a commit survives a killed process
    "foreign_keys=ON",
    "cache_size=-2000",  # KiB of each connection; behind it is the system's own cache
    "wal_autocheckpoint=0",  # ours, on a thread
    f"journal_size_limit={LOG_KEPT}",  # what is larger is cut when the log begins anew
    "secure_delete=ON",  # as Debian has it anyway: what is deleted is overwritten
)


class LoopConnection:
    """A connection whose work is done when the call returns."""

    def __init__(self, connection: Connection, engine: SqliteEngine) -> None:
        self._connection, self._engine = connection, engine
        self.driver: Any = connection.connection.driver_connection

    def reset(self) -> None:
        """A transaction that was not ended is rolled back; reads alone began nothing in the engine."""
        self._connection.rollback()

    def close(self) -> None:
        self._connection.close()

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    async def execute(self, statement: Any, parameters: Any = None) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def exec_driver_sql(self, statement: str, parameters: Any = None) -> CursorResult[Any]:
        return self._connection.exec_driver_sql(statement, parameters)

    async def run_sync(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        return function(self._connection, *values, **named)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:
        with await self._locked():
            yield
        self._engine.committed()

    async def _locked(self) -> Transaction:
        """An open transaction that holds the write lock: no failing upgrade in the middle."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LOCK_TIMEOUT
        transaction = self._connection.begin()
        while True:
            try:
                self.driver.execute(BEGIN)
                return transaction
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or loop.time() > until:
                    transaction.rollback()
                    raise OperationalError(BEGIN, None, error) from error
            await asyncio.sleep(LOCK_PAUSE)


class SqliteEngine:
    """Connections to one file."""

    def __init__(self, url: URL) -> None:
        self._file = url.database
        if self._file:
            Path(self._file).parent.mkdir(parents=True, exist_ok=True)
            shorten_log(self._file)
        # waiting here for a free connection would stop all others, those that have one included: no bound
        self.sync_engine: Engine = create_engine(
            url,
            poolclass=NullPool,
            enable_from_linting=False,
            hide_parameters=True,
            json_deserializer=msgspec.json.decode,
        )
        event.listen(self.sync_engine, "connect", _set_up)
        self.turn = asyncio.Lock()  # held by the writer
        self._idle: list[LoopConnection] = []
        self._commits = 0
        self._checkpoint: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LoopConnection]:
        """An idle connection. Some stay open afterwards: no pool's bookkeeping with each use."""
        connection = self._idle.pop() if self._idle else LoopConnection(self.sync_engine.connect(), self)
        try:
            yield connection
        finally:
            connection.reset()
            if len(self._idle) < KEPT and not connection.driver.in_transaction:
                self._idle.append(connection)
            else:
                connection.close()

    def committed(self) -> None:
        """Now and then what is committed is brought from the log into the file."""
        self._commits += 1
        if self._commits >= COMMITS_PER_CHECKPOINT and self._checkpoint is None and self._file:
            self._commits = 0
            self._checkpoint = asyncio.ensure_future(self._move(self._file))

    async def _move(self, file: str) -> None:
        try:
            await asyncio.to_thread(checkpoint, file, "PASSIVE")
            async with self.turn:
                await asyncio.to_thread(checkpoint, file, "RESTART")
        finally:
            self._checkpoint = None

    async def dispose(self) -> None:
        """Close what is open and unused; the next connection is a new one."""
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        while self._idle:
            self._idle.pop().close()


def checkpoint(file: str, how: str) -> None:
    """PASSIVE blocks no connection; after RESTART the next writer begins the log anew, as its contents are no longer needed."""
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(file, timeout=CHECKPOINT_TIMEOUT)) as connection,
    ):
        connection.execute(f"PRAGMA wal_checkpoint({how})")


def shorten_log(file: str) -> None:
    """Bring all that a killed process left in the log into the file, and cut the log; blocking. Where another process has the
    file open nothing happens: the next checkpoint cuts the log."""
    log = Path(f"{file}-wal")
    if not log.exists() or log.stat().st_size <= LOG_KEPT:
        return
    with (
        contextlib.suppress(sqlite3.OperationalError),
        contextlib.closing(sqlite3.connect(file, timeout=CHECKPOINT_TIMEOUT, isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("BEGIN IMMEDIATE")  # fails where others are
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _set_up(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
