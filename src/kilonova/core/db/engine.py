"""One database of one service: SQLAlchemy Core, asynchronous, with short transactions owned by `logic/`.

async with database.transaction() as tx:      # BEGIN IMMEDIATE on SQLite, READ COMMITTED on servers
    await servers.insert(tx.connection, rows)
    await tx.outbox(ConductorAPI).build_servers(ctx, build)   # sent after the commit, never lost
async with database.reading() as connection: ...
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import MetaData, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from kilonova.core import errors
from kilonova.core.bus.interface import Interface
from kilonova.core.clock import SYSTEM
from kilonova.core.db.address import Address
from kilonova.core.db.failures import translated, unavailable
from kilonova.core.db.sqlite import SqliteEngine

if TYPE_CHECKING:
    from kilonova.core.db.outbox import Outbox

I = TypeVar("I", bound=Interface)  # noqa: E741
Connection = AsyncConnection
REFUSED = (PoolTimeout, OSError, TimeoutError)  # how drivers say that they can't connect, beside errors of their own
TRUSTED = 1.0  # seconds for which an unused connection is used without a test


class Transaction:
    """An open write transaction; `connection` is for `store/`, `outbox` for messages that must leave with it. `stored`: the
    messages are written, and whether they are committed is up to the engine."""

    def __init__(self, connection: Connection, outbox: Outbox | None) -> None:
        self.connection = connection
        self._outbox = outbox
        self.pending: list[Any] = []
        self.stored = False
        self.after: list[Callable[[], None]] = []

    def then(self, call: Callable[[], None]) -> None:
        """Call it once the transaction is committed; never when it is not."""
        self.after.append(call)

    def outbox(self, interface: type[I], *, host: str | None = None) -> I:
        """A client whose casts are written with this transaction and sent once it is committed."""
        if self._outbox is None:
            raise RuntimeError("this database has no outbox")
        return self._outbox.client(self, interface, host)


class Database:
    """`url` as in the config: sqlite:///PATH, postgresql://…, mysql://…; see `address`."""

    def __init__(self, url: str, metadata: MetaData, *, name: str) -> None:
        self.name = name
        self.metadata = metadata
        address = Address(url, name)
        self.kind, self.url = address.kind, address.url
        self.engine, self._reader = _engines(address)
        self.outbox: Outbox | None = None
        self._listen()

    @property
    def is_sqlite(self) -> bool:
        return self.kind == "sqlite"

    def _listen(self) -> None:
        if not self.is_sqlite:  # listeners of the engine itself would cost with each statement
            engine = self.engine.sync_engine
            event.listen(engine, "checkin", _note_time)
            event.listen(engine, "checkout", self._check_alive)

    def _check_alive(self, connection: Any, record: Any, _proxy: Any) -> None:
        """A connection that was unused for a while is asked whether its server is still there; if not, the pool opens others
        in place of all it has."""
        if SYSTEM.monotonic() - record.info.get("unused_since", SYSTEM.monotonic()) > TRUSTED:
            dialect = self.engine.sync_engine.dialect
            if not dialect._do_ping_w_event(connection):
                raise DisconnectionError

    @asynccontextmanager
    async def _connected(self, engine: Any) -> AsyncIterator[Connection]:
        connected = False
        try:
            async with engine.connect() as connection:
                connected = True
                yield connection
        except DBAPIError as error:
            known = translated(error, self.name) if connected else unavailable(error, self.name)
            if known is error:
                raise
            raise known from error
        except OverflowError as error:  # SQLite's driver refuses integers of more than 64 bits before it asks
            raise errors.BadRequest from error
        except REFUSED as error:
            if connected:
                raise  # of the work itself
            raise unavailable(error, self.name) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for reads; each statement sees what is committed."""
        async with self._connected(self._reader) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A write transaction: committed on leaving, rolled back on an exception. On SQLite writers take turns
        here, in the order in which they came."""
        tx: Transaction | None = None
        try:
            async with (
                self.engine.turn if self.is_sqlite else nullcontext(),
                self._connected(self.engine) as connection,
                connection.begin(),
            ):
                tx = Transaction(connection, self.outbox)
                yield tx
                if tx.pending and self.outbox is not None:
                    tx.stored = True
                    await self.outbox.store(connection, tx.pending)
        except BaseException:
            if tx is not None and tx.stored and self.outbox is not None:
                self.outbox.look_for(tx.pending)  # cancelled during the commit: its result is not known
            raise
        if tx.pending and self.outbox is not None:
            self.outbox.send(tx.pending)
        for call in tx.after:
            call()

    async def check(self) -> None:
        """Raises ServiceUnavailable when the database can't be reached now."""
        async with self.reading() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        await self.engine.dispose()


def _engines(address: Address) -> tuple[Any, Any]:
    """For writing and for reading: an AsyncEngine, or what has as much of it as we use."""
    if address.kind == "sqlite":
        inline = SqliteEngine(address.url)
        return inline, inline
    engine = create_async_engine(
        address.url,
        enable_from_linting=False,
        hide_parameters=True,
        json_deserializer=msgspec.json.decode,
        **address.options,
    )
    if address.kind == "postgresql":  # each read is a transaction of its own, without BEGIN and ROLLBACK around it
        return engine, engine.execution_options(isolation_level="AUTOCOMMIT")
    return engine, engine


def _note_time(_connection: Any, record: Any) -> None:
    record.info["unused_since"] = SYSTEM.monotonic()
