"""Messages of the outbox that are not yet delivered, and those that no receiver will ever take."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, select

from kilonova.compute.tables import outbox
from kilonova.core.bus.base import Envelope
from kilonova.core.db import Connection, TypedRow, rows


class BodyRow(TypedRow):
    body: bytes


class MessageRow(BodyRow):
    id: int


class BuildArguments(msgspec.Struct):
    """What we look at of `ConductorAPI.build_servers`."""

    server_ids: list[str] = []


async def servers_to_build(connection: Connection) -> set[str]:
    """The servers of every build_servers that is not done yet."""
    found: set[str] = set()
    for row in rows.every(await connection.execute(select(outbox.c.body)), BodyRow):
        envelope = msgspec.msgpack.decode(row.body, type=Envelope)
        if envelope.topic == "conductor" and envelope.method == "build_servers":
            found.update(msgspec.msgpack.decode(envelope.arguments, type=BuildArguments).server_ids)
    return found


async def drop_for_host(connection: Connection, host: str, *, server_uuid: str | None = None) -> int:
    """Drop what waits for a compute host that is gone for good, or only what concerns one server; how many messages."""
    dropped: list[int] = []
    for row in rows.every(await connection.execute(select(outbox.c.id, outbox.c.body)), MessageRow):
        envelope = msgspec.msgpack.decode(row.body, type=Envelope)
        if (envelope.topic, envelope.host) != ("compute", host):
            continue
        if server_uuid is None or server_uuid.encode() in bytes(envelope.arguments):
            dropped.append(row.id)
    if dropped:
        await connection.execute(delete(outbox).where(outbox.c.id.in_(dropped)))
    return len(dropped)
