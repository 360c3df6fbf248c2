"""What an operator may set for notifications."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

FORMATS = {
    "none": (),
    "unversioned": ("unversioned",),
    "versioned": ("versioned",),
    "both": ("unversioned", "versioned"),
}


class NotificationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is the broker's, "" for the bus's own. A notification goes to `exchange` with the routing key TOPIC.PRIORITY, where
    a queue of that name waits. `queues` is what is made where there is none: a transient one (oslo.messaging's default), a
    durable one (its amqp_durable_queues), a quorum queue (its rabbit_quorum_queue), or none. `backlog` bounds what waits in
    this process for the broker."""

    format: Literal["none", "unversioned", "versioned", "both"] = "none"
    url: str = ""
    exchange: str = "nova"
    topics: tuple[str, ...] = ("notifications",)
    versioned_topics: tuple[str, ...] = ("versioned_notifications",)
    queues: Literal["transient", "durable", "quorum", "none"] = "transient"
    backlog: Annotated[int, msgspec.Meta(ge=1)] = 2000

    @property
    def formats(self) -> tuple[str, ...]:
        return FORMATS[self.format]
