"""The bus over a broker: keeps a connection, sends, and hands to `Deliveries` what arrives."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from functools import partial
from typing import TypeVar

import msgspec
from aiormq.abc import DeliveredMessage

from kilonova.core import errors, log
from kilonova.core.bus.amqp.address import parse
from kilonova.core.bus.amqp.deliveries import Deliveries, Receiver
from kilonova.core.bus.amqp.link import REPLIES, Link, hopeless
from kilonova.core.bus.amqp.topology import DEAD, host_queue, queues, routing_key, shared_queue
from kilonova.core.bus.base import Bus, Envelope, Receipt, Reply, Server
from kilonova.core.bus.interface import Interface
from kilonova.core.bus.senders import HostUsers
from kilonova.core.clock import SYSTEM
from kilonova.core.retry import Backoff, retry

I = TypeVar("I", bound=Interface)  # noqa: E741
BACKOFF = Backoff(0.1, 5.0)
ADVICE = "does it run (rabbitmqctl status), does it listen there, does [bus] url name it and a user it knows?"
STABLE = 10.0  # seconds after which a connection that is lost is tried anew without a pause
HINT_LIFE = 60.0  # seconds for which a hint waits for a receiver that is down
AT_ONCE = 8  # receivers that are attached at once
logger = log.get("bus")


class AmqpBus(Bus):
    """`amqp://user:password@host[:port][,host…]/vhost?options`; see docs/explanation/bus.md."""

    def __init__(self, url: str, host_users: str = "") -> None:
        """Raises ValueError."""
        self.address = parse(url)
        self._deliveries = Deliveries(HostUsers(host_users))
        self._receivers: dict[tuple[str, str], Receiver] = {}
        self._callers: dict[str, asyncio.Future[bytes]] = {}  # callers
        self._numbers = itertools.count(1)
        self._link: Link | None = None
        self._linked = asyncio.Event()
        self._attached = False
        self._keeper: asyncio.Task[None] | None = None
        self._closed = False
        self._trouble = "no answer"

    @property
    def ready(self) -> bool:
        return self._link is not None and self._attached

    @property
    def dead_lettered(self) -> int:
        return self._deliveries.dead_lettered

    # ---- the connection

    async def open(self) -> None:
        try:
            async with asyncio.timeout(self.address.open_timeout):
                link = await self._reach(retry_all=False)
        except TimeoutError:
            raise errors.BusError(
                f"no broker at {self.address.shown} within {self.address.open_timeout:g} s: {self._trouble}"
            ) from None
        self._use(link)
        self._attached = True
        self._keeper = asyncio.ensure_future(self._keep(link))

    async def _reach(self, *, retry_all: bool = True) -> Link:
        """Try the brokers in turn until one accepts the connection. Raises BusError when a retry can't help, unless
        `retry_all`."""
        urls = itertools.cycle(self.address.urls)

        async def open_next() -> Link:
            try:
                return await Link.open(next(urls), self._answered)
            except errors.BusError as error:
                self._trouble = error.params["reason"]
                raise

        def may_pass(error: Exception) -> bool:
            return isinstance(error, errors.BusError) and (retry_all or not hopeless(error))

        shown = self.address.shown
        try:
            return await retry(
                open_next,
                BACKOFF,
                again=may_pass,
                log=logger,
                work="connect to the broker",
                broker=shown,
                advice=ADVICE,
            )
        except errors.BusError:
            raise errors.BusError(f"no entry to the broker at {shown}: {self._trouble}") from None

    async def _keep(self, link: Link) -> None:
        """Make another connection when one is lost, with everything that is served here."""
        began, attempt = SYSTEM.monotonic(), 1
        while True:
            await link.lost.wait()
            await link.close()
            attempt = 1 if SYSTEM.monotonic() - began > STABLE else attempt + 1
            await asyncio.sleep(BACKOFF.pause(attempt))
            link, began = await self._reach(), SYSTEM.monotonic()
            self._use(link)
            try:
                await self._attach_all(link)
            except errors.BusError as error:
                link.lose(error.message)
                continue
            self._attached = self._link is not None
            logger.info("reconnected to the broker", broker=self.address.shown)

    def _use(self, link: Link) -> None:
        if link.lost.is_set():
            return
        link.on_lost = partial(self._lost, link)
        self._link = link
        self._linked.set()

    def _lost(self, link: Link) -> None:
        logger.warning("connection to the broker lost", broker=self.address.shown, reason=link.why)
        self._link, self._attached, self._trouble = None, False, link.why
        self._linked.clear()
        self._fail_callers("the connection to the broker was lost before the reply came; it may have been done or not")

    def _fail_callers(self, reason: str) -> None:
        for caller in self._callers.values():
            if not caller.done():
                caller.add_done_callback(asyncio.Future.exception)  # also of one that still waits for the confirm
                caller.set_exception(errors.BusError(reason=reason))

    async def _connected(self) -> Link:
        """Raises BusError when the connection does not come back soon."""
        if self._closed or self._keeper is None:
            raise errors.BusError(reason="the bus is closed")
        if self._link is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.address.post_timeout):
                    await self._linked.wait()
        if self._link is None:
            raise errors.BusError(reason=f"no connection to the broker at {self.address.shown}: {self._trouble}")
        return self._link

    async def close(self) -> None:
        self._closed = self._deliveries.closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await _cut_off({job for receiver in self._receivers.values() for job in receiver.jobs})
        self._fail_callers("the bus was closed before the reply came")
        if self._link is not None:
            self._link.on_lost = lambda: None
            await self._link.close()
            self._link = None

    # ---- receiving

    async def serve(self, interface: type[I], manager: I, *, host: str, concurrency: int = 64) -> None:
        await self.withdraw(interface, host=host)
        receiver = Receiver(Server(interface, manager, host), concurrency)
        link = await self._connected()
        await self._attach(link, receiver)
        if link is not self._link:
            raise errors.BusError(reason=f"the connection to the broker was lost: {link.why}")
        self._receivers[interface.topic, host] = receiver

    async def _attach_all(self, link: Link) -> None:
        slots = asyncio.Semaphore(AT_ONCE)

        async def attach(receiver: Receiver) -> None:
            async with slots:
                await self._attach(link, receiver)

        receivers = [receiver for receiver in self._receivers.values() if receiver.open]
        for failed in await asyncio.gather(*map(attach, receivers), return_exceptions=True):
            if failed is not None:
                raise failed

    async def _attach(self, link: Link, receiver: Receiver) -> None:
        """Declare a server's queues and consume from them. Raises BusError."""
        found = queues(receiver.server.interface, receiver.server.host)
        await link.declare(found)
        receiver.link, receiver.tags = link, []
        take = partial(self._deliveries.take, link, receiver)
        for queue in found:
            receiver.tags.append(await link.consume(queue, receiver.concurrency, take))
        if not receiver.open:  # withdrawn in the meantime
            await self._detach(receiver)

    async def _detach(self, receiver: Receiver) -> None:
        if receiver.link is not None and receiver.link is self._link:
            for tag in receiver.tags:
                await receiver.link.cancel(tag)

    async def withdraw(self, interface: type[Interface], *, host: str) -> None:
        receiver = self._receivers.get((interface.topic, host))
        if receiver is None:
            return
        receiver.open = False
        try:
            with contextlib.suppress(errors.BusError):
                await self._detach(receiver)
            for job in receiver.waiting:
                job.cancel()  # what has not begun goes to others at once
            while receiver.jobs:
                await asyncio.wait(set(receiver.jobs))
        finally:
            if self._receivers.get((interface.topic, host)) is receiver:
                del self._receivers[interface.topic, host]
            await _cut_off(receiver.jobs)

    async def forget(self, interface: type[Interface], *, host: str) -> int:
        link = await self._connected()
        return await link.delete(host_queue(interface.topic, host))

    async def waiting(self, topic: str, host: str | None = None) -> int:
        queue = shared_queue(topic) if host is None else host_queue(topic, host)
        return await (await self._connected()).depth(queue.name)

    async def put_aside(self) -> int:
        return await (await self._connected()).depth(DEAD)

    # ---- sending

    async def post(self, envelope: Envelope) -> Receipt:
        await self._publish(await self._connected(), envelope)
        receipt = asyncio.get_running_loop().create_future()
        receipt.set_result(None)  # the broker keeps it
        return receipt

    async def request(self, envelope: Envelope, timeout: float) -> Reply:
        number = str(next(self._numbers))
        try:
            async with asyncio.timeout(timeout):
                link = await self._connected()
                answer = self._callers[number] = asyncio.get_running_loop().create_future()
                await self._publish(link, envelope, reply_to=REPLIES, correlation_id=number)
                body = await answer
        except TimeoutError:
            raise errors.CallTimeout(method=f"{envelope.topic}.{envelope.method}", seconds=timeout) from None
        finally:
            self._callers.pop(number, None)
        return msgspec.msgpack.decode(body, type=Reply)

    async def _publish(self, link: Link, envelope: Envelope, **properties: str) -> None:
        left = envelope.deadline - SYSTEM.epoch() if envelope.deadline else HINT_LIFE if envelope.expendable else None
        if left is not None:
            properties["expiration"] = str(max(1, int(left * 1000)))
        if self.address.user:
            properties["user_id"] = self.address.user  # which the broker compares with the connection's
        body = msgspec.msgpack.encode(envelope)
        await link.publish(body, routing_key(envelope), mandatory=envelope.pattern != "fanout", **properties)

    async def _answered(self, message: DeliveredMessage) -> None:
        caller = self._callers.get(message.header.properties.correlation_id or "")
        if caller is not None and not caller.done():
            caller.set_result(message.body)


async def _cut_off(jobs: set[asyncio.Task[None]]) -> None:
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)
