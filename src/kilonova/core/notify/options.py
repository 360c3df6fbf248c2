"""What an operator may set for notifications."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from kilonova.core.config import doc

FORMATS = {
    "none": (),
    "unversioned": ("unversioned",),
    "versioned": ("versioned",),
    "both": ("unversioned", "versioned"),
}


class NotificationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """A notification goes to `exchange` with the routing key TOPIC.PRIORITY, where a queue of that name waits."""

    format: Annotated[
        Literal["none", "unversioned", "versioned", "both"],
        doc("Which notifications are sent, in oslo.messaging's envelope."),
    ] = "none"
    url: Annotated[str, doc('The broker\'s URL; "": that of the bus.')] = ""
    exchange: Annotated[str, doc("Topic exchange that they are sent to.")] = "nova"
    topics: Annotated[tuple[str, ...], doc("Topics of unversioned notifications.")] = ("notifications",)
    versioned_topics: Annotated[tuple[str, ...], doc("Topics of versioned notifications.")] = (
        "versioned_notifications",
    )
    queues: Annotated[
        Literal["transient", "durable", "quorum", "none"],
        doc(
            "Queues that are declared: transient (oslo.messaging's default), durable (amqp_durable_queues), quorum "
            "(rabbit_quorum_queue) or none."
        ),
    ] = "transient"
    backlog: Annotated[int, doc("Most notifications that wait in this process for the broker.", ge=1)] = 2000

    @property
    def formats(self) -> tuple[str, ...]:
        return FORMATS[self.format]
