"""Transactional outbox: messages written with the transaction that wants them sent, and sent until acknowledged.

A message may arrive twice; receivers know repeats by what they carry (request id, server).

Messages to one place (topic and host) are posted in the order they were written, and do not wait for each other's ends. A
place without a receiver is retried after ever longer pauses, or when there is something new for it; no other place
waits for that.

Several processes may share a table. Each row names the process that sends it, and a process that has rows to send counts up
its beat in `outbox_senders`. The others look on: one whose beat stands still for `LOOKS` looks is dead, and the first one to
see it takes its rows over; one that ends in order leaves them at once. So nothing is lost with a process that dies between
commit and sending, no process sends what a running one is sending, and no clock is compared with another machine's.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import heapq
from collections.abc import Coroutine, Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from sqlalchemy import Column, Delete, Integer, MetaData, String, Table, delete, select, update

from kilonova.core import errors, log
from kilonova.core.bus.base import Bus, Envelope, Receipt, Undelivered, make_proxy
from kilonova.core.bus.interface import Interface, Method
from kilonova.core.clock import SYSTEM
from kilonova.core.db.locks import locked
from kilonova.core.db.prepared import insert, prepared
from kilonova.core.db.types import Blob, Counter
from kilonova.core.faults import Faults
from kilonova.core.retry import Backoff

if TYPE_CHECKING:
    from kilonova.core.db.engine import Connection, Database, Transaction

I = TypeVar("I", bound=Interface)  # noqa: E741
Place = tuple[str, str | None]
LONGEST_PAUSE = 30.0  # seconds between two attempts
LOOK_EVERY = 1.0  # seconds between two looks at the other senders
LOOKS = 4  # a process whose number is the same in so many readings is dead
AT_ONCE = 1000
GATHER = 0.02  # seconds in which delivered messages gather, to be deleted together
SENDERS = "outbox_senders"
NO_SENDER = ""  # the sender of rows that a process left when it ended in order
logger = log.get("outbox")


def outbox_table(metadata: MetaData) -> Table:
    """The table a service adds to its own tables, with another one for the senders. No id is given twice, not even that of a
    row which is gone: a process that still holds that message would take the new one for it."""
    Table(SENDERS, metadata, Column("sender", String(32), primary_key=True), Column("beat", Integer, nullable=False))
    return Table(
        "outbox",
        metadata,
        Column("id", Counter, primary_key=True, autoincrement=True),
        Column("body", Blob, nullable=False),
        Column("sender", String(32), nullable=False, server_default=NO_SENDER, index=True),
        sqlite_autoincrement=True,
    )


class Message(msgspec.Struct):
    """`row_id` is set when the row is written."""

    row_id: int
    envelope: Envelope
    failures: int = 0


class Lane:
    """The messages for one receiver: a heap, so that one that is retried keeps its place in the order."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, Message]] = []
        self.news = asyncio.Event()


class Outbox:
    """The outbox of one database; `retry` is the first pause in seconds after a failed delivery. `shared`: other processes may
    use the table too, as on any engine but SQLite. `faults` strike at `hand_over`: before the message is posted, and after
    it was handled but not yet forgotten."""

    def __init__(
        self,
        database: Database,
        table: Table,
        bus: Bus,
        *,
        retry: float = 0.5,
        look_every: float = LOOK_EVERY,
        shared: bool | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.database, self.table, self.bus, self.retry, self.look_every = database, table, bus, retry, look_every
        self.faults = faults or Faults()
        self.senders = table.metadata.tables[SENDERS]
        self.shared = not database.is_sqlite if shared is None else shared
        self.name = SYSTEM.hex_id()
        self.sending: set[int] = set()  # rows that this process takes care of
        self._beat = 0
        self._others: dict[str, tuple[int | None, int]] = {}  # sender → (its beat, looks at which that was so)
        self._doubtful: dict[int, int] = {}  # row → looks that are left for it to appear
        self._lanes: dict[Place, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._done: list[int] = []
        self._sweep: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._closed = False
        database.outbox = self

    def client(self, tx: Transaction, interface: type[I], host: str | None) -> I:
        async def send(envelope: Envelope, _method: Method) -> Any:
            tx.pending.append(Message(0, envelope))

        return make_proxy(interface, host, send)

    async def store(self, connection: Connection, pending: Sequence[Message]) -> None:
        """Write the messages and give them their rows' ids: one statement where the database can return them. The rows
        that come back are matched by their bodies, each of which holds an id of its own."""
        bodies = {msgspec.msgpack.encode(message.envelope): message for message in pending}
        if connection.dialect.insert_executemany_returning:
            rows = [{"body": body, "sender": self.name} for body in bodies]
            for row in await connection.execute(_adding(self.table), rows):
                bodies[row.body].row_id = row.id
            return
        for body, message in bodies.items():
            result = await connection.execute(insert(self.table), {"body": body, "sender": self.name})
            (message.row_id,) = result.inserted_primary_key or (0,)

    def send(self, messages: Iterable[Message]) -> None:
        """Deliver in the background; called after the commit."""
        for message in messages:
            if message.row_id not in self.sending:
                self.sending.add(message.row_id)
                self._queue(message)

    def look_for(self, messages: Iterable[Message]) -> None:
        """Messages whose transaction may have been committed, though it was cut off: they are sent if they turn up."""
        self._doubtful |= dict.fromkeys((message.row_id for message in messages if message.row_id), 2)

    async def resume(self) -> int:
        """Send what no other process sends, and from now on what others leave behind; the number of messages found now. Called
        once at start. Where the table is not shared, all rows are ours at once."""
        found = await self._take_over(
            self.table.c.sender == NO_SENDER if self.shared else self.table.c.sender != self.name
        )
        await self._forget_senders(self.senders.c.sender.not_in(select(self.table.c.sender)))
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._look_on())
        return found

    async def undelivered(self) -> list[Undelivered]:
        """All messages in the table, also those of other processes."""
        async with self.database.reading() as connection:
            bodies = (await connection.execute(select(self.table.c.body))).scalars().all()
        envelopes = [msgspec.msgpack.decode(body, type=Envelope) for body in bodies]
        counted = collections.Counter((envelope.topic, envelope.host, envelope.method) for envelope in envelopes)
        return [Undelivered(self.database.name, *place, count) for place, count in counted.items()]

    async def _look_on(self) -> None:
        while True:
            await asyncio.sleep(self.look_every)
            try:
                await self._find_doubtful()
                if self.shared:
                    await self._show_life()
                    await self._look_at_others()
            except Exception as error:
                self._others.clear()  # they could not show their life either
                logger.warning("outbox scan failed", database=self.database.name, error=_words(error))

    async def _find_doubtful(self) -> None:
        if not self._doubtful:
            return
        self.send(await self._read(list(self._doubtful)))
        left = {row: looks - 1 for row, looks in self._doubtful.items() if row not in self.sending and looks > 1}
        self._doubtful = left

    async def _show_life(self) -> None:
        """A process that has nothing to send needs no beat."""
        if not self.sending:
            return
        self._beat += 1
        mine = self.senders.c.sender == self.name
        async with self.database.transaction() as tx:
            known = await tx.connection.execute(update(self.senders).where(mine).values(beat=self._beat))
            if known.rowcount == 0:
                await tx.connection.execute(insert(self.senders), {"sender": self.name, "beat": self._beat})

    async def _forget_senders(self, whose: Any) -> None:
        """A running process that has something to send increments its number again."""
        async with self.database.transaction() as tx:
            await tx.connection.execute(delete(self.senders).where(whose))

    async def _look_at_others(self) -> None:
        having = select(self.table.c.sender).where(self.table.c.sender != self.name).distinct().subquery()
        query = select(having.c.sender, self.senders.c.beat).select_from(
            having.outerjoin(self.senders, self.senders.c.sender == having.c.sender)
        )
        async with self.database.reading() as connection:
            beats = {row.sender: row.beat for row in (await connection.execute(query)).all()}
        before, self._others = self._others, {}
        for sender, beat in beats.items():
            known, looks = before.get(sender, (beat, 0))
            looks = looks + 1 if known == beat else 1
            if looks <= LOOKS and sender != NO_SENDER:
                self._others[sender] = (beat, looks)
                continue
            count = await self._take_over(self.table.c.sender == sender)
            logger.warning("taking over messages of another process", messages=count, database=self.database.name)

    async def _take_over(self, whose: Any) -> int:
        """Make rows ours and send them; how many. Another process that tries the same waits, and finds none."""
        async with self.database.transaction() as tx:
            query = locked(select(self.table.c.id, self.table.c.sender).where(whose).order_by(self.table.c.id))
            rows = (await tx.connection.execute(query)).all()
            ids, senders = [row.id for row in rows], {row.sender for row in rows}
            for part in _parts(ids):
                await tx.connection.execute(
                    update(self.table).where(self.table.c.id.in_(part)).values(sender=self.name)
                )
            await tx.connection.execute(delete(self.senders).where(self.senders.c.sender.in_(senders)))
        self.send(await self._read(ids))
        return len(ids)

    async def _read(self, ids: Sequence[int]) -> list[Message]:
        found = []
        for part in _parts(ids):
            query = (
                select(self.table.c.id, self.table.c.body).where(self.table.c.id.in_(part)).order_by(self.table.c.id)
            )
            async with self.database.reading() as connection:
                rows = (await connection.execute(query)).all()
            for row in rows:
                try:
                    found.append(Message(row.id, msgspec.msgpack.decode(row.body, type=Envelope)))
                except msgspec.DecodeError as error:
                    self.sending.add(row.id)  # ours, so that not every process in turn fails at it
                    logger.error("outbox message skipped: it can't be decoded", row=row.id, error=str(error))
        return found

    def _queue(self, message: Message) -> None:
        place = (message.envelope.topic, message.envelope.host)
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = Lane()
            self._spawn(self._drain(place, lane))
        heapq.heappush(lane.waiting, (message.row_id, message))
        lane.news.set()

    async def _drain(self, place: Place, lane: Lane) -> None:
        """Post what waits, in order. A message that can't be posted delays those behind it, as they have the same receiver."""
        while lane.waiting:
            lane.news.clear()
            _, message = heapq.heappop(lane.waiting)
            try:
                await self.faults.point("hand_over", "before")
                receipt = await self.bus.post(message.envelope)
            except Exception as error:
                if message.envelope.expendable and isinstance(error, errors.NoReceiver):
                    logger.info(
                        "message dropped: no receiver, and it is expendable",
                        topic=message.envelope.topic,
                        host=message.envelope.host,
                    )
                    self._delivered(message)
                    continue
                if message.failures and await self._was_dropped(message):
                    self.sending.discard(message.row_id)
                    continue
                heapq.heappush(lane.waiting, (message.row_id, message))
                await self._pause(message, error, lane.news)
            else:
                self._spawn(self._settle(message, receipt))
        del self._lanes[place]

    async def _was_dropped(self, message: Message) -> bool:
        """Whether a message without a receiver was deleted meanwhile."""
        try:
            async with self.database.reading() as connection:
                query = select(self.table.c.id).where(self.table.c.id == message.row_id)
                return (await connection.execute(query)).first() is None
        except errors.ServiceUnavailable:
            return False

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
        message.failures += 1
        envelope, pause = message.envelope, Backoff(self.retry, LONGEST_PAUSE).pause(message.failures)
        logger.warning(
            "retrying", work="deliver a message", topic=envelope.topic, host=envelope.host, method=envelope.method,
            message=envelope.id, attempt=message.failures, retry_in=round(pause, 3), error=_words(error),
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
            ids, self._done = sorted(self._done[:AT_ONCE]), self._done[AT_ONCE:]
            try:
                async with self.database.transaction() as tx:
                    await tx.connection.execute(*_dropping(ids, table=self.table))
            except Exception as error:
                logger.warning("delivered messages not deleted", database=self.database.name, error=_words(error))
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
        tasks = [*self._tasks, *([self._watch] if self._watch is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._sweep is not None:
            await asyncio.gather(self._sweep, return_exceptions=True)
        with contextlib.suppress(errors.ServiceUnavailable):
            await self._leave()

    async def _leave(self) -> None:
        """The next process that looks takes over what is left, at once."""
        if self._beat:
            await self._forget_senders(self.senders.c.sender == self.name)
        if self.sending:
            async with self.database.transaction() as tx:
                mine = self.table.c.sender == self.name
                await tx.connection.execute(update(self.table).where(mine).values(sender=NO_SENDER))


@cache
def _adding(table: Table) -> Any:
    return insert(table).returning(table.c.id, table.c.body)


@prepared
def _dropping(ids: Any, *, table: Table) -> Delete:
    return delete(table).where(table.c.id.in_(ids))


def _words(error: Exception) -> str:
    return error.message if isinstance(error, errors.KilonovaError) else f"{type(error).__name__}: {error}"


def _parts(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE)]
