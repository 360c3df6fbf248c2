"""What is done with a message that arrived: each runs once at a time, and is acknowledged after its effect."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict

import msgspec
from aiormq.abc import DeliveredMessage

from kilonova.core import errors, log
from kilonova.core.bus.amqp.link import Link
from kilonova.core.bus.amqp.topology import DEAD, DELIVERY_LIMIT
from kilonova.core.bus.base import Envelope, Reply, Server, handle
from kilonova.core.bus.senders import HostUsers

REMEMBERED, REMEMBERED_BYTES = 10_000, 32 * 2**20
logger = log.get("bus")


class Receiver:
    """A server and its bound of concurrent messages. `waiting` are those of its `jobs` that have not begun."""

    def __init__(self, server: Server, concurrency: int) -> None:
        self.server, self.concurrency = server, concurrency
        self.slots = asyncio.Semaphore(concurrency)
        self.open = True
        self.link: Link | None = None
        self.tags: list[str] = []
        self.jobs: set[asyncio.Task[None]] = set()
        self.waiting: set[asyncio.Task[None]] = set()


class Ended:
    """Outcomes of the last messages that ended here; the oldest are forgotten."""

    def __init__(self) -> None:
        self._outcomes: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, key: str) -> bytes | None:
        return self._outcomes.get(key)

    def add(self, key: str, outcome: bytes) -> None:
        self._outcomes[key] = outcome
        self._size += len(outcome)
        while len(self._outcomes) > REMEMBERED or self._size > REMEMBERED_BYTES:
            self._size -= len(self._outcomes.popitem(last=False)[1])


class Deliveries:
    """A message that comes again (the connection was lost, or its sender saw no confirm) joins its first run in this process,
    and is only acknowledged when that has ended. Other processes know repeats by their request."""

    def __init__(self, host_users: HostUsers) -> None:
        self.host_users = host_users
        self.dead_lettered = 0
        self.closed = False
        self._running: dict[str, asyncio.Future[bytes]] = {}
        self._ended = Ended()

    async def take(self, link: Link, receiver: Receiver, message: DeliveredMessage) -> None:
        if self.closed:
            return  # it goes back to its queue with the channel
        job = asyncio.ensure_future(self._take(link, receiver, message))
        receiver.jobs.add(job)
        job.add_done_callback(receiver.jobs.discard)

    async def _take(self, link: Link, receiver: Receiver, message: DeliveredMessage) -> None:
        try:
            if receiver.open:
                await self._handle(link, receiver, message)
            else:
                await link.hand_back(message)
        except asyncio.CancelledError:
            if not self.closed:
                with contextlib.suppress(errors.BusError):
                    await link.hand_back(message)
        except errors.BusError as error:
            logger.info("acknowledgement failed: the message will be redelivered", reason=error.message)

    async def _handle(self, link: Link, receiver: Receiver, message: DeliveredMessage) -> None:
        try:
            envelope = msgspec.msgpack.decode(message.body, type=Envelope)
        except msgspec.DecodeError as error:
            await self._put_aside(link, message, f"it can't be read: {error}")
            return
        key = envelope.id if envelope.pattern != "fanout" else f"{envelope.id} {receiver.server.host}"
        outcome, running = self._ended.get(key), self._running.get(key)
        if outcome is None and running is not None:
            outcome = await asyncio.shield(running)
        elif outcome is None and deliveries_before(message) >= DELIVERY_LIMIT:
            reason = f"its receiver was lost {deliveries_before(message)} times"
            await self._put_aside(link, message, reason, topic=envelope.topic, method=envelope.method, id=envelope.id)
            return
        elif outcome is None:
            sender = self.host_users.sender(message.header.properties.user_id)
            outcome = await self._run(receiver, envelope, key, sender)
        await link.settle(message, outcome)

    async def _run(self, receiver: Receiver, envelope: Envelope, key: str, sender: str | None) -> bytes:
        """The encoded reply of a call, else nothing."""
        job = asyncio.current_task()
        assert job is not None  # noqa: S101
        ending = self._running[key] = asyncio.get_running_loop().create_future()
        receiver.waiting.add(job)
        try:
            async with receiver.slots:
                receiver.waiting.discard(job)
                reply = await handle(receiver.server, envelope, sender)
            outcome = msgspec.msgpack.encode(reply) if envelope.pattern == "call" else b""
            self._ended.add(key, outcome)
            ending.set_result(outcome)
            return outcome
        finally:
            receiver.waiting.discard(job)
            del self._running[key]
            ending.cancel()  # nothing, when it has a result

    async def _put_aside(self, link: Link, message: DeliveredMessage, reason: str, **what: str) -> None:
        refusal = Reply(error=errors.to_wire(errors.BusError(reason=reason)))
        await link.put_aside(message, msgspec.msgpack.encode(refusal))
        self.dead_lettered += 1
        logger.error("message dead-lettered", queue=DEAD, key=message.routing_key, reason=reason, **what)


def deliveries_before(message: DeliveredMessage) -> int:
    """How many receivers were lost with it; only quorum queues count."""
    count = (message.header.properties.headers or {}).get("x-delivery-count", 0)
    return count if isinstance(count, int) else 0
