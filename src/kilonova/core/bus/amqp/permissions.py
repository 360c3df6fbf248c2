"""What a compute host's broker user may do: see docs on the bus. The limits are the broker's; that a host reports only about
itself is checked by the receiver (core/bus/senders.py)."""

from __future__ import annotations

import re

import msgspec

from kilonova.core.bus.amqp.topology import DEAD, EXCHANGE

TOPICS = ("compute", "network_agent")  # that hosts serve
ADDRESSED = ("conductor", "network")  # that they send to
LOCAL = "network_agent"  # that a host's compute agent sends to, on its own host


class Permissions(msgspec.Struct, frozen=True):
    """RabbitMQ's patterns; those of topics are for the exchange."""

    configure: str
    write: str
    read: str
    topic_write: str
    topic_read: str


def of_host(host: str) -> Permissions:
    """Its own queues, and messages to the control plane and to its own network agent."""
    topics, own = "|".join(TOPICS), re.escape(host)
    queues = rf"kilonova\.({topics})(\.{own})?"
    return Permissions(
        configure=f"^{queues}$",
        write=rf"^({EXCHANGE}|{re.escape(DEAD)}|amq\.default|{queues})$",
        read=f"^({EXCHANGE}|{queues})$",
        topic_write=rf"^({'|'.join(ADDRESSED)}|{LOCAL}\.{own})$",
        topic_read=rf"^({topics})(\.{own})?$",
    )
