"""SQL of scheduling decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import select

from kilonova.compute.models import Decision
from kilonova.compute.tables import decisions
from kilonova.core.db import Connection, TypedRow, rows
from kilonova.core.db.prepared import insert


class DocumentRow(TypedRow):
    decision: bytes


class DecisionRow(DocumentRow):
    id: int
    server_uuid: str
    request_id: str
    created_at: dt.datetime


async def add(
    connection: Connection, made: Mapping[str, Decision], requests: Mapping[str, str], now: dt.datetime
) -> None:
    """server uuid → decision, server uuid → request id; in one statement."""
    encode = msgspec.msgpack.Encoder().encode
    rows = [
        {"server_uuid": uuid, "request_id": requests[uuid], "decision": encode(decision), "created_at": now}
        for uuid, decision in made.items()
    ]
    if rows:
        await connection.execute(insert(decisions), rows)


async def of_server(connection: Connection, server_uuid: str) -> list[Decision]:
    """In the order in which they were made."""
    query = select(decisions.c.decision).where(decisions.c.server_uuid == server_uuid).order_by(decisions.c.id)
    decode = msgspec.msgpack.Decoder(Decision).decode
    return [decode(row.decision) for row in rows.every(await connection.execute(query), DocumentRow)]


async def latest(connection: Connection, server_uuid: str, *, limit: int) -> Sequence[DecisionRow]:
    """Rows with request_id, decision (encoded) and created_at, newest first."""
    query = select(decisions).where(decisions.c.server_uuid == server_uuid)
    return rows.every(await connection.execute(query.order_by(decisions.c.id.desc()).limit(limit)), DecisionRow)
