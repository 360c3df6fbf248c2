"""Transactional outbox: messages written with the transaction that wants them sent, and sent until acknowledged.

A process that dies between commit and sending loses nothing: the next start sends what is left. A message may so arrive
twice; receivers know repeats by what they carry (request id, server).

Messages to one place (topic and host) are posted in the order they were written, and do not wait for each other's ends. A
place where nobody listens is asked again after ever longer pauses, or when there is something new for it; no other place
waits for that.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, delete, insert, select

from kilonova.core import errors, log
from kilonova.core.bus.base import Bus, Envelope, Receipt, make_proxy
from kilonova.core.bus.interface import Interface, Method
from kilonova.core.faults import Faults

if TYPE_CHECKING:
    from kilonova.core.db.engine import Connection, Database, Transaction

I = TypeVar("I", bound=Interface)  # noqa: E741
Place = tuple[str, str | None]
LONGEST_PAUSE = 30.0  # seconds between two tries
ADOPT_AFTER = 30.0  # seconds; a message that nobody was sending at two looks so far apart is sent
FORGOTTEN_AT_ONCE = 1000
GATHER = 0.02  # seconds in which delivered messages gather, to be deleted together
logger = log.get("outbox")


def outbox_table(metadata: MetaData) -> Table:
    """The table a service adds to its own tables."""
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("body", LargeBinary, nullable=False),
    )


class Message(msgspec.Struct):
    """`row_id` is set when the row is written."""

    row_id: int
    envelope: Envelope
    failures: int = 0


class Lane:
    """What waits for one place: a heap, so that what comes back takes its old turn."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Message]] = []
        self.news = asyncio.Event()


class Outbox:
    """The outbox of one database; `retry` is the first pause in seconds after a failed delivery. `faults` strike at
    `hand_over`: before the message is posted, and after it was handled but not yet forgotten."""

    def __init__(
        self,
        database: Database,
        table: Table,
        bus: Bus,
        *,
        retry: float = 0.5,
        adopt_after: float = ADOPT_AFTER,
        faults: Faults | None = None,
    ) -> None:
        self.database, self.table, self.bus, self.retry, self.adopt_after = database, table, bus, retry, adopt_after
        self.faults = faults or Faults()
        self.sending: set[int] = set()  # rows that this process takes care of
        self._lanes: dict[Place, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: list[int] = []
        self._sweep: asyncio.Task[None] | None = None
        self._adoption: asyncio.Task[None] | None = None
        self._closed = False
        database.outbox = self

    def client(self, tx: Transaction, interface: type[I], host: str | None) -> I:
        async def send(envelope: Envelope, _method: Method) -> Any:
            tx.pending.append(Message(0, envelope))

        return make_proxy(interface, host, send)

    async def store(self, connection: Connection, pending: Sequence[Message]) -> None:
        """Write the messages and give them their rows' ids: one statement where the database can return them. What comes
        back is told apart by the bodies, each of which holds an id of its own."""
        bodies = {msgspec.msgpack.encode(message.envelope): message for message in pending}
        if connection.dialect.insert_executemany_returning:
            statement = insert(self.table).returning(self.table.c.id, self.table.c.body)
            for row in await connection.execute(statement, [{"body": body} for body in bodies]):
                bodies[row.body].row_id = row.id
            return
        for body, message in bodies.items():
            result = await connection.execute(insert(self.table).values(body=body))
            (message.row_id,) = result.inserted_primary_key or (0,)

    def send(self, messages: Iterable[Message]) -> None:
        """Deliver in the background; called after the commit."""
        for message in messages:
            if message.row_id not in self.sending:
                self.sending.add(message.row_id)
                self._queue(message)

    async def resume(self) -> int:
        """Send what an earlier process left, and from now on what a sender was cut off from; the number of messages. Called
        once at start."""
        left = await self._left()
        self.send(await self._read(left))
        if self._adoption is None:
            self._adoption = asyncio.ensure_future(self._adopt())
        return len(left)

    async def _left(self) -> list[int]:
        """Rows that this process does not take care of."""
        async with self.database.reading() as connection:
            ids = (await connection.execute(select(self.table.c.id).order_by(self.table.c.id))).scalars().all()
        return [row_id for row_id in ids if row_id not in self.sending]

    async def _read(self, ids: Sequence[int]) -> list[Message]:
        found = []
        for start in range(0, len(ids), FORGOTTEN_AT_ONCE):
            part = ids[start : start + FORGOTTEN_AT_ONCE]
            query = select(self.table).where(self.table.c.id.in_(part)).order_by(self.table.c.id)
            async with self.database.reading() as connection:
                rows = (await connection.execute(query)).all()
            for row in rows:
                try:
                    found.append(Message(row.id, msgspec.msgpack.decode(row.body, type=Envelope)))
                except msgspec.DecodeError as error:
                    logger.error("a message that can't be read is left alone", row=row.id, error=str(error))
        return found

    async def _adopt(self) -> None:
        """A sender that is cancelled just when its transaction is committed leaves its messages to us. Another process may
        be sending them: to have been seen once is not enough."""
        before: set[int] = set()
        while True:
            await asyncio.sleep(self.adopt_after)
            try:
                left = await self._left()
                self.send(await self._read([row_id for row_id in left if row_id in before]))
                before = set(left)
            except Exception as error:
                logger.warning("outbox not looked through", database=self.database.name, exc_info=error)

    def _queue(self, message: Message) -> None:
        place = (message.envelope.topic, message.envelope.host)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane()
            self._spawn(self._drain(place, lane))
        heapq.heappush(lane.waiting, (message.row_id, message))
        lane.news.set()

    async def _drain(self, place: Place, lane: Lane) -> None:
        """Post what waits, in order. A message that can't be posted holds up those behind it, for they go the same way."""
        while lane.waiting:
            lane.news.clear()
            _, message = heapq.heappop(lane.waiting)
            try:
                await self.faults.point("hand_over", "before")
                receipt = await self.bus.post(message.envelope)
            except Exception as error:
                if message.envelope.expendable and isinstance(error, errors.NoReceiver):
                    logger.info("nobody needs it", topic=message.envelope.topic, host=message.envelope.host)
                    self._delivered(message)
                    continue
                heapq.heappush(lane.waiting, (message.row_id, message))
                await self._pause(message, error, lane.news)
            else:
                self._spawn(self._settle(message, receipt))
        del self._lanes[place]

    async def _settle(self, message: Message, receipt: Receipt) -> None:
        """Forget the message when its receiver has finished with it, or send it once more."""
        try:
            await receipt
            await self.faults.point("hand_over", "after")
        except Exception as error:
            await self._pause(message, error)
            self._queue(message)
        else:
            self._delivered(message)

    async def _pause(self, message: Message, error: Exception, news: asyncio.Event | None = None) -> None:
        """Ever longer; `news` ends it early."""
        pause = min(self.retry * 2 ** min(message.failures, 16), LONGEST_PAUSE)
        message.failures += 1
        envelope = message.envelope
        logger.warning(
            "not delivered yet", topic=envelope.topic, host=envelope.host, method=envelope.method, again_in=pause,
            error=error.message if isinstance(error, errors.KilonovaError) else f"{type(error).__name__}: {error}",
        )  # fmt: skip
        if news is None:
            await asyncio.sleep(pause)
            return
        try:
            async with asyncio.timeout(pause):
                await news.wait()
        except TimeoutError:
            return

    def _delivered(self, message: Message) -> None:
        self._done.append(message.row_id)
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.ensure_future(self._forget())

    async def _forget(self) -> None:
        """Delete delivered messages, all that came together in one statement."""
        while self._done:
            if not self._closed:
                await asyncio.sleep(GATHER)
            ids, self._done = self._done[:FORGOTTEN_AT_ONCE], self._done[FORGOTTEN_AT_ONCE:]
            try:
                async with self.database.transaction() as tx:
                    await tx.connection.execute(delete(self.table).where(self.table.c.id.in_(ids)))
            except Exception as error:
                logger.warning("delivered messages not deleted yet", database=self.database.name, exc_info=error)
                if self._closed:
                    return  # the next start sends them once more
                self._done += ids
                await asyncio.sleep(self.retry)
            else:
                self.sending.difference_update(ids)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        self._closed = True
        tasks = [*self._tasks, *([self._adoption] if self._adoption is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._sweep is not None:
            await asyncio.gather(self._sweep, return_exceptions=True)
