"""Messages of the outbox that are still on their way."""

from __future__ import annotations

import msgspec
from sqlalchemy import select

from kilonova.compute.tables import outbox
from kilonova.core.bus.base import Envelope
from kilonova.core.db import Connection


class BuildArguments(msgspec.Struct):
    """What we look at of `ConductorAPI.build_servers`."""

    server_ids: list[str] = []


async def servers_to_build(connection: Connection) -> set[str]:
    """The servers of every build_servers that is not done yet."""
    found: set[str] = set()
    for row in (await connection.execute(select(outbox.c.body))).all():
        envelope = msgspec.msgpack.decode(row.body, type=Envelope)
        if envelope.topic == "conductor" and envelope.method == "build_servers":
            found.update(msgspec.msgpack.decode(envelope.arguments, type=BuildArguments).server_ids)
    return found
