"""What every transport does: addressing, encoding, serving, replying. A transport only moves envelopes."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar, cast

import msgspec

from kilonova.core import errors, log
from kilonova.core.bus import senders
from kilonova.core.bus.interface import Interface, Method, methods
from kilonova.core.clock import SYSTEM
from kilonova.core.context import RequestContext
from kilonova.core.retry import Backoff, retry

CAST_BACKOFF = Backoff(0.2, 5.0)
CAST_WITHIN = 600.0  # seconds after which the work of a cast is given up
logger = log.get("bus")
I = TypeVar("I", bound=Interface)  # noqa: E741 - the customary letter for an interface


class Envelope(msgspec.Struct, kw_only=True):
    """One message. `deadline` is epoch seconds after which a call's answer is of no use; receivers know
    a repeated message by its `id`; an `expendable` one is dropped where no receiver runs."""

    id: str
    topic: str
    host: str | None
    pattern: str
    method: str
    version: str
    context: RequestContext
    arguments: msgspec.Raw
    deadline: float | None = None
    expendable: bool = False


class Undelivered(msgspec.Struct, frozen=True):
    """Messages that a service's outbox still keeps, all to one place."""

    service: str
    topic: str
    host: str | None
    method: str
    count: int


NOTHING = msgspec.Raw(msgspec.msgpack.encode(None))


class Reply(msgspec.Struct, kw_only=True):
    result: msgspec.Raw = NOTHING  # not `Raw | None`, which msgspec does not decode
    error: dict[str, Any] | None = None


Receipt = Awaitable[None]
"""Done when the message needs its sender no more: its receiver has finished with it, or the broker keeps it until then."""

Handler = Callable[[Envelope], Awaitable[Reply]]
Send = Callable[[Envelope, Method], Awaitable[Any]]


class Server(msgspec.Struct, frozen=True):
    """A manager that serves an interface on a topic, under a host's name."""

    interface: type[Interface]
    manager: Interface
    host: str


class Bus(ABC):
    """Senders use `client`; components `serve` a manager. Closed buses refuse."""

    @abstractmethod
    async def open(self) -> None:
        """Raises BusError when there is no broker, after trying for a while."""

    @abstractmethod
    async def close(self) -> None: ...

    @property
    def ready(self) -> bool:
        """Whether messages can be sent and received now."""
        return True

    @property
    def dead_lettered(self) -> int:
        """How many messages this process dead-lettered: they can't be decoded, or their receivers died repeatedly."""
        return 0

    async def check(self) -> None:
        """Raises BusError when the broker can't be reached now."""
        if not self.ready:
            raise errors.BusError(reason="there is no connection to the broker")

    @abstractmethod
    async def serve(self, interface: type[I], manager: I, *, host: str, concurrency: int = 64) -> None:
        """Receive for `topic` (shared with its other servers), `topic.host` and the topic's fanout; at most `concurrency`
        messages at once."""

    @abstractmethod
    async def withdraw(self, interface: type[Interface], *, host: str) -> None:
        """Stop receiving; work in progress is finished first. When this is cancelled, so is the work, and where a broker
        keeps messages these are handed back."""

    async def forget(self, interface: type[Interface], *, host: str) -> int:
        """Drop what is kept for a host that will not return, so that sending to it is an error; the number of
        these messages. Raises BusError while its agent is connected."""
        return 0

    async def waiting(self, topic: str, host: str | None = None) -> int:
        """How many messages for a topic, or for one host of it, no receiver has taken yet."""
        return 0

    async def put_aside(self) -> int:
        """How many messages lie among the dead letters."""
        return self.dead_lettered

    @abstractmethod
    async def post(self, envelope: Envelope) -> Receipt:
        """Send a cast or fanout; raises NoReceiver when there is no receiver."""

    @abstractmethod
    async def request(self, envelope: Envelope, timeout: float) -> Reply:
        """Send a call and wait for the reply; raises CallTimeout, NoReceiver."""

    def client(self, interface: type[I], *, host: str | None = None) -> I:
        """An object of the interface's type whose methods send; with `host`, to that host alone."""

        async def send(envelope: Envelope, method: Method) -> Any:
            if method.pattern != "call":
                await self.post(envelope)
                return None
            reply = await self.request(envelope, method.timeout)
            if reply.error is not None:
                raise errors.from_wire(reply.error)
            try:
                return msgspec.msgpack.decode(reply.result, type=method.result)
            except msgspec.DecodeError as error:
                raise errors.BusError(reason=f"reply of {interface.topic}.{method.name}: {error}") from None

        return make_proxy(interface, host, send)


def make_proxy(interface: type[I], host: str | None, send: Send) -> I:
    """An instance whose methods encode their arguments and hand the envelope to `send`."""
    table = methods(interface)

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            method = table[name]

            async def invoke(context: RequestContext, *values: Any, **named: Any) -> Any:
                return await send(envelope_for(interface, host, method, context, values, named), method)

            setattr(self, name, invoke)
            return invoke

    return cast(I, Proxy())


def envelope_for(
    interface: type[Interface],
    host: str | None,
    method: Method,
    context: RequestContext,
    values: tuple[Any, ...],
    named: dict[str, Any],
) -> Envelope:
    arguments = method.arguments(**dict(zip(method.parameters, values, strict=False)), **named)
    return Envelope(
        id=SYSTEM.hex_id(),
        topic=interface.topic,
        host=host,
        pattern=method.pattern,
        method=method.name,
        version=interface.version,
        context=context,
        arguments=msgspec.Raw(msgspec.msgpack.encode(arguments)),
        deadline=SYSTEM.epoch() + method.timeout if method.timeout else None,
        expendable=method.expendable,
    )


async def handle(server: Server, envelope: Envelope, sender: str | None = None) -> Reply:
    """Run the method an envelope names, unless its deadline is past or its `sender` may not send it (senders.py). An error
    becomes a typed reply, and is logged when no caller waits for it. A cast that failed as something is unreachable is retried,
    as its sender does not ask again."""
    if envelope.deadline is not None and SYSTEM.epoch() > envelope.deadline:
        return Reply(error=errors.to_wire(errors.CallTimeout(method=f"{envelope.topic}.{envelope.method}", seconds=0)))
    method = methods(server.interface).get(envelope.method)
    try:
        if method is None:
            raise errors.BusError(reason=f"{server.interface.topic} has no method {envelope.method}")
        try:
            arguments = msgspec.msgpack.decode(envelope.arguments, type=method.arguments)
        except msgspec.DecodeError as error:
            raise errors.BusError(reason=f"{server.interface.topic}.{method.name}: {error}") from None
        senders.check(sender, server.interface.topic, method, arguments, server.host)
        context = envelope.context
        if context.sender != sender:  # the message's own claim about it does not count
            context = msgspec.structs.replace(context, sender=sender)
        values = [getattr(arguments, name) for name in method.parameters]
        work = partial(getattr(server.manager, method.name), context, *values)
        result = await (work() if envelope.pattern == "call" or envelope.expendable else _retried(work, envelope))
        return Reply(result=msgspec.Raw(msgspec.msgpack.encode(result)))
    except asyncio.CancelledError:
        raise
    except errors.KilonovaError as error:
        if envelope.pattern != "call" or error.status >= 500:
            logger.warning("refused", topic=envelope.topic, method=envelope.method, error=error.message)
        return Reply(error=errors.to_wire(error))
    except Exception as error:
        logger.exception("handler failed", topic=envelope.topic, method=envelope.method, host=server.host)
        return Reply(error=errors.to_wire(error))


async def _retried(work: Callable[[], Awaitable[None]], envelope: Envelope) -> None:
    """Retry the work of a cast while a service that it needs is unreachable: its sender does not wait for an error."""
    await retry(
        work, CAST_BACKOFF, within=CAST_WITHIN, log=logger, work=f"{envelope.topic}.{envelope.method}", message=envelope.id,
        request_id=envelope.context.request_id,
    )  # fmt: skip
