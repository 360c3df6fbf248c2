"""Transactional outbox: messages written with the transaction that wants them sent, and sent until acknowledged.

A process that dies between commit and sending loses nothing: the next start sends what is left. A message may so arrive
twice; receivers know repeats by what they carry (request id, server).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, delete, insert, select

from kilonova.core import errors, log
from kilonova.core.bus.base import Bus, Envelope, make_proxy
from kilonova.core.bus.interface import Interface, Method
from kilonova.core.faults import Faults

if TYPE_CHECKING:
    from kilonova.core.db.engine import Connection, Database, Transaction

I = TypeVar("I", bound=Interface)  # noqa: E741
logger = log.get("outbox")


def outbox_table(metadata: MetaData) -> Table:
    """The table a service adds to its own tables."""
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("body", LargeBinary, nullable=False),
    )


class Outbox:
    """The outbox of one database; `retry` is the pause in seconds after a failed delivery. `faults` strike at `hand_over`:
    before the message is posted, and after it was handled but not yet forgotten."""

    def __init__(
        self, database: Database, table: Table, bus: Bus, *, retry: float = 1.0, faults: Faults | None = None
    ) -> None:
        self.database, self.table, self.bus, self.retry = database, table, bus, retry
        self.faults = faults or Faults()
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: list[int] = []
        self._sweep: asyncio.Task[None] | None = None
        database.outbox = self

    def client(self, tx: Transaction, interface: type[I], host: str | None) -> I:
        async def send(envelope: Envelope, _method: Method) -> Any:
            tx.pending.append([None, msgspec.msgpack.encode(envelope)])

        return make_proxy(interface, host, send)

    async def store(self, connection: Connection, pending: list[Any]) -> None:
        for entry in pending:
            result = await connection.execute(insert(self.table).values(body=entry[1]))
            (entry[0],) = result.inserted_primary_key or (None,)

    def send(self, pending: list[Any]) -> None:
        """Deliver in the background; called after the commit."""
        for row_id, body in pending:
            task = asyncio.ensure_future(self._deliver(row_id, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def resume(self) -> int:
        """Send what an earlier process left; the number of messages. Called once at start."""
        async with self.database.reading() as connection:
            rows = (
                await connection.execute(select(self.table.c.id, self.table.c.body).order_by(self.table.c.id))
            ).all()
        self.send([[row.id, row.body] for row in rows])
        return len(rows)

    async def _deliver(self, row_id: int, body: bytes) -> None:
        envelope = msgspec.msgpack.decode(body, type=Envelope)
        await self.faults.point("hand_over", "before")
        while True:
            try:
                receipt = await self.bus.post(envelope)
                await receipt
                break
            except errors.BusError as error:
                logger.warning("not delivered yet", topic=envelope.topic, method=envelope.method, error=error.message)
                await asyncio.sleep(self.retry)
        await self.faults.point("hand_over", "after")
        self._done.append(row_id)
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.ensure_future(self._forget())

    async def _forget(self) -> None:
        """Delete delivered messages, all that came together in one statement."""
        while self._done:
            ids, self._done = self._done, []
            async with self.database.transaction() as tx:
                await tx.connection.execute(delete(self.table).where(self.table.c.id.in_(ids)))

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._sweep is not None:
            await asyncio.gather(self._sweep, return_exceptions=True)
