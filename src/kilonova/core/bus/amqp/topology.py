"""Exchanges and queues on the broker, and where an envelope goes.

One topic exchange. A server consumes from its topic's queue (shared with the topic's other servers), from a queue of its
own host, and from a fanout queue that ends with its connection. The first two are quorum queues: what they hold outlives
brokers and receivers.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiormq.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelNotFoundEntity

from kilonova.core.bus.base import Envelope
from kilonova.core.bus.interface import Interface, methods
from kilonova.core.clock import SYSTEM

EXCHANGE = "kilonova"
DEAD = "kilonova.dead"  # an exchange, and the queue behind it
DEAD_LETTERS = 10_000  # then the oldest go
DELIVERY_LIMIT = 10  # a message whose receiver was lost so many times is not delivered once more
PUT_ASIDE_FOR = ("rejected", "delivery_limit")  # not "expired": an outdated call needs no attention

Arguments = dict[str, Any]
KEPT: Arguments = {
    "x-queue-type": "quorum",
    "x-delivery-limit": DELIVERY_LIMIT,
    "x-dead-letter-exchange": DEAD,
}


class Queue(msgspec.Struct, frozen=True):
    """`key` is what is bound to it. A queue that is not `kept` ends with its connection."""

    name: str
    key: str
    kept: bool = True


def shared_queue(topic: str) -> Queue:
    return Queue(f"{EXCHANGE}.{topic}", topic)


def host_queue(topic: str, host: str) -> Queue:
    return Queue(f"{EXCHANGE}.{topic}.{host}", f"{topic}.{host}")


def fanout_queue(topic: str, host: str) -> Queue:
    """Another one for each connection: the broker may not know yet that the last one is dead."""
    return Queue(f"{EXCHANGE}.{topic}.{host}.fanout.{SYSTEM.hex_id()}", f"fanout.{topic}", kept=False)


def queues(interface: type[Interface], host: str) -> list[Queue]:
    """What a server consumes from: only queues that something may be sent to."""
    patterns = {method.pattern for method in methods(interface).values()}
    found = [fanout_queue(interface.topic, host)] if "fanout" in patterns else []
    if patterns - {"fanout"}:
        found += [shared_queue(interface.topic), host_queue(interface.topic, host)]
    return found


def routing_key(envelope: Envelope) -> str:
    if envelope.pattern == "fanout":
        return f"fanout.{envelope.topic}"
    return envelope.topic if envelope.host is None else f"{envelope.topic}.{envelope.host}"


async def declare(channel: AbstractChannel, queue: Queue) -> None:
    await channel.queue_declare(
        queue.name,
        durable=queue.kept,
        exclusive=not queue.kept,
        auto_delete=not queue.kept,
        arguments=KEPT if queue.kept else {"x-dead-letter-exchange": DEAD},
    )
    await channel.queue_bind(queue.name, EXCHANGE, queue.key)


async def ensure_exchanges(connection: AbstractConnection) -> None:
    """Check whether they exist, which every account may; create them, which not every account may, when they do not. The main
    exchange is made last: where it is, the others are."""
    channel = await connection.channel(publisher_confirms=False)
    try:
        await channel.exchange_declare(EXCHANGE, passive=True)
    except ChannelNotFoundEntity:
        channel = await connection.channel(publisher_confirms=False)
        await channel.exchange_declare(DEAD, exchange_type="headers", durable=True)
        await channel.queue_declare(
            DEAD, durable=True, arguments={"x-queue-type": "quorum", "x-max-length": DEAD_LETTERS}
        )
        for reason in PUT_ASIDE_FOR:
            match: Arguments = {"x-match": "any-with-x", "x-first-death-reason": reason}
            await channel.queue_bind(DEAD, DEAD, arguments=match)
        await channel.exchange_declare(EXCHANGE, exchange_type="topic", durable=True)
    await channel.close()
