"""SQLite on the event loop itself: a statement takes tens of microseconds, handing it to a thread and back ten times that.

Nothing here waits for long: readers and the writer do not hinder each other (WAL), a write lock that another process holds is
asked for again and again from the loop, and what waits for the disk (the checkpoint) runs on a thread. The classes have what
is used of SQLAlchemy's AsyncEngine and AsyncConnection.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, CursorResult, Dialect
from sqlalchemy.engine.base import Transaction
from sqlalchemy.exc import OperationalError

LOCK_PATIENCE = 10.0  # seconds to ask for another process's write lock
LOCK_PAUSE = 0.005
COMMITS_PER_CHECKPOINT = 500
PRAGMAS = (
    "busy_timeout=10000",  # milliseconds; for the next one, which needs the file for itself
    "journal_mode=WAL",
    "busy_timeout=20",  # for what WAL does not cover
    "synchronous=NORMAL",  # a commit survives a killed process
    "foreign_keys=ON",
    "cache_size=-8000",
    "wal_autocheckpoint=0",  # ours, on a thread
)


class LoopConnection:
    """A connection whose work is done when the call returns."""

    def __init__(self, connection: Connection, engine: SqliteEngine) -> None:
        self._connection, self._engine = connection, engine

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
        until = loop.time() + LOCK_PATIENCE
        while True:
            try:
                return self._connection.execution_options(kilonova_write=True).begin()
            except OperationalError as error:
                if "locked" not in str(error.orig) or loop.time() > until:
                    raise
            await asyncio.sleep(LOCK_PAUSE)


class SqliteEngine:
    """Connections to one file."""

    def __init__(self, url: URL) -> None:
        self._file = url.database
        if self._file:
            Path(self._file).parent.mkdir(parents=True, exist_ok=True)
        # who waited here for a free connection would stop all others, those that have one included: no bound
        self.sync_engine: Engine = create_engine(url, pool_size=8, max_overflow=-1)
        event.listen(self.sync_engine, "connect", _set_up)
        event.listen(self.sync_engine, "begin", _begin)
        self._commits = 0
        self._checkpoint: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[LoopConnection]:
        with self.sync_engine.connect() as connection:
            yield LoopConnection(connection, self)

    def committed(self) -> None:
        """Now and then what is committed is brought from the log into the file."""
        self._commits += 1
        if self._commits >= COMMITS_PER_CHECKPOINT and self._checkpoint is None and self._file:
            self._commits = 0
            self._checkpoint = asyncio.ensure_future(self._move(self._file))

    async def _move(self, file: str) -> None:
        try:
            await asyncio.to_thread(checkpoint, file)
        finally:
            self._checkpoint = None

    async def dispose(self) -> None:
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])
        self.sync_engine.dispose()


def checkpoint(file: str) -> None:
    """Stands in nobody's way; what it can't do now, the next one does."""
    with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _set_up(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Any) -> None:
    """SQLAlchemy begins with the first statement, reads too: these need no transaction."""
    if connection.get_execution_options().get("kilonova_write"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
