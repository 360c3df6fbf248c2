"""One connection to a broker and its channels. It is never repaired: when a part of it ends, all of it is closed and another
one is made."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any, cast

import aiormq
from aiormq import spec
from aiormq.abc import AbstractChannel, AbstractConnection, DeliveredMessage
from aiormq.channel import Channel
from aiormq.exceptions import (
    ChannelNotFoundEntity,
    ProbableAuthenticationError,
    PublishError,
)

from kilonova.core import errors, log
from kilonova.core.bus.amqp.topology import EXCHANGE, Queue, declare, ensure_exchanges

REPLIES = "amq.rabbitmq.reply-to"  # the broker's direct way back to a caller
CONNECT_TIMEOUT = 10.0
CONFIRM_TIMEOUT = 30.0
ANSWER_TIMEOUT = 30.0  # to a declaration: a broken quorum queue never gives one
CLOSE_TIMEOUT = 5.0

OnMessage = Callable[[DeliveredMessage], Coroutine[Any, Any, None]]
logger = log.get("bus")
logging.getLogger("aiormq").setLevel(logging.CRITICAL)  # failures are logged here, in our words


@contextlib.contextmanager
def typed(doing: str) -> Iterator[None]:
    """What the library raises becomes a BusError. It also cancels the waiting tasks when a connection ends: such a
    cancellation is distinguished from one by the caller, and becomes a BusError too."""
    task = asyncio.current_task()
    cancelled = task.cancelling() if task else 0
    try:
        yield
    except asyncio.CancelledError:
        if task is not None and task.cancelling() > cancelled:
            raise
        raise errors.BusError(reason=f"{doing}: the connection to the broker was lost") from None
    except errors.BusError:
        raise
    except Exception as error:
        raise errors.BusError(reason=f"{doing}: {words(error)}") from error


def words(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return ", ".join(str(argument) for argument in error.args) or type(error).__name__


def hopeless(error: BaseException | None) -> bool:
    """The configuration is wrong, so that retries can't help: a password, or a certificate that is not trusted."""
    if error is None or isinstance(error, ProbableAuthenticationError | ssl.SSLCertVerificationError):
        return error is not None
    return hopeless(error.__cause__)


class Link:
    """A channel that sends with confirms and receives replies, and one that receives messages. `lost` is set when it is of no
    use any more, and `why` says why."""

    def __init__(self, connection: AbstractConnection, sending: Channel, receiving: Channel) -> None:
        self.connection, self.sending, self.receiving = connection, sending, receiving
        self.lost = asyncio.Event()
        self.on_lost: Callable[[], None] = lambda: None
        self.why = ""
        self._declared: set[str] = set()
        self._consuming = asyncio.Lock()
        for part in (connection, sending, receiving):
            part.closing.add_done_callback(self._ended)
        receiving.on_consumer_cancel_callbacks.add(
            lambda frame: self.lose(f"queue of {frame.consumer_tag} was deleted")
        )

    @classmethod
    async def open(cls, url: str, on_reply: OnMessage) -> Link:
        """Raises BusError."""
        with typed("connecting"):
            connection = aiormq.Connection(url)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await connection.connect()
                    await ensure_exchanges(connection)
                    sending, receiving = await connection.channel(), await connection.channel(publisher_confirms=False)
                    link = cls(connection, cast(Channel, sending), cast(Channel, receiving))
                    await link.sending.basic_consume(REPLIES, on_reply, no_ack=True)
            except BaseException:
                await connection.close()
                raise
        return link

    def _ended(self, closing: asyncio.Future[Any]) -> None:
        error = None if closing.cancelled() else closing.exception()
        self.lose(words(error) if error else "closed")

    def lose(self, why: str) -> None:
        if not self.lost.is_set():
            self.why = why
            self.lost.set()
            self.on_lost()

    async def close(self) -> None:
        """Whatever was acknowledged has reached the broker; whatever was not goes back to its queue."""
        with contextlib.suppress(errors.BusError), typed("closing"):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                if not self.lost.is_set():
                    await self.receiving.basic_qos(prefetch_count=1)  # answered after all acknowledgements before it
                await self.connection.close()

    # ---- sending

    async def publish(self, body: bytes, key: str, *, mandatory: bool, **properties: Any) -> None:
        """Return when the broker has it in its keeping. Raises NoReceiver; and BusError when that is not certain."""
        with typed(f"sending to {key}"):
            try:
                await self.sending.basic_publish(
                    body, exchange=EXCHANGE, routing_key=key, mandatory=mandatory, timeout=CONFIRM_TIMEOUT,
                    properties=spec.Basic.Properties(delivery_mode=2, **properties),
                    wait=False,  # for the socket: many are on their way at once
                )  # fmt: skip
            except PublishError:
                raise errors.NoReceiver(reason=f"no receiver on {key}") from None

    # ---- receiving

    @contextlib.asynccontextmanager
    async def _channel(self) -> AsyncIterator[AbstractChannel]:
        """One for declarations alone: what the broker refuses ends a channel, and nothing else shall end with it."""
        channel = await self.connection.channel(publisher_confirms=False)
        try:
            yield channel
        finally:
            await channel.close()

    async def declare(self, queues: Sequence[Queue]) -> None:
        """Raises BusError with the broker's words."""
        missing = [queue for queue in queues if queue.name not in self._declared]
        if not missing:
            return
        with typed(f"declaring {missing[0].name}"):
            async with asyncio.timeout(ANSWER_TIMEOUT), self._channel() as channel:
                for queue in missing:
                    await declare(channel, queue)
                    self._declared.add(queue.name)

    async def delete(self, queue: Queue) -> int:
        """How many messages it held. Raises BusError while it has a consumer."""
        with typed(f"deleting {queue.name}"), contextlib.suppress(ChannelNotFoundEntity):
            async with self._channel() as channel:
                found = await channel.queue_declare(queue.name, passive=True)
                if found.consumer_count:
                    raise errors.BusError(reason=f"{queue.name} has a consumer")
                self._declared.discard(queue.name)
                answer = await channel.queue_delete(queue.name)  # "if unused" is not for quorum queues
                return answer.message_count or 0
        return 0

    async def depth(self, name: str) -> int:
        """How many messages of a queue wait for a receiver; 0 where there is no such queue."""
        with typed(f"looking at {name}"):
            try:
                async with self._channel() as channel:
                    found = await channel.queue_declare(name, passive=True)
            except ChannelNotFoundEntity:
                return 0
        return found.message_count or 0

    async def consume(self, queue: Queue, prefetch: int, on_message: OnMessage) -> str:
        """The consumer's tag, for `cancel`."""
        with typed(f"consuming from {queue.name}"):
            async with asyncio.timeout(ANSWER_TIMEOUT), self._consuming:  # a prefetch is for the consumers after it
                await self.receiving.basic_qos(prefetch_count=min(prefetch, 65535))
                answer = await self.receiving.basic_consume(queue.name, on_message)
        return answer.consumer_tag or ""

    async def cancel(self, tag: str) -> None:
        with typed("ending a consumer"):
            await self.receiving.basic_cancel(tag)

    async def settle(self, message: DeliveredMessage, outcome: bytes) -> None:
        """Answer the caller, and acknowledge. Where that fails the message is redelivered."""
        with typed("acknowledging"):
            await self._reply(message, outcome)
            await self.receiving.basic_ack(message.delivery_tag or 0, wait=False)

    async def _reply(self, message: DeliveredMessage, body: bytes) -> None:
        properties = message.header.properties
        if properties.reply_to and body:
            await self.receiving.basic_publish(
                body, exchange="", routing_key=properties.reply_to, wait=False,
                properties=spec.Basic.Properties(correlation_id=properties.correlation_id),
            )  # fmt: skip

    async def hand_back(self, message: DeliveredMessage) -> None:
        with typed("handing back"):
            await self.receiving.basic_nack(message.delivery_tag or 0, requeue=True, wait=False)

    async def put_aside(self, message: DeliveredMessage, refusal: bytes) -> None:
        """Dead-letter the message; the caller gets the reason."""
        with typed("putting aside"):
            await self._reply(message, refusal)
            await self.receiving.basic_reject(message.delivery_tag or 0, requeue=False, wait=False)
