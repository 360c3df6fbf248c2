"""SQL of consoles' tokens, of which only the digests are kept."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

from sqlalchemy import delete, func, insert, select

from kilonova.compute.tables import console_tokens, servers
from kilonova.core.db import Connection, TypedRow, rows


class ConsoleTokenRow(TypedRow):
    digest: str
    server_uuid: str
    host: str
    kind: str
    life: str
    url: str
    expires_at: dt.datetime


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


async def add(connection: Connection, row: dict[str, Any]) -> None:
    await connection.execute(insert(console_tokens).values(**row))


async def find(connection: Connection, token: str, now: dt.datetime) -> ConsoleTokenRow | None:
    """What a token is for, while its time is not over and its server is still on the host that it was made for."""
    here = (servers.c.uuid == console_tokens.c.server_uuid) & (servers.c.host == console_tokens.c.host)
    query = (
        select(console_tokens)
        .join(servers, here & (servers.c.deleted == 0))
        .where(console_tokens.c.digest == digest_of(token), console_tokens.c.expires_at > now)
    )
    return rows.first(await connection.execute(query), ConsoleTokenRow)


async def remove(connection: Connection, digest: str) -> bool:
    """False when it was removed before: of several that try, one gets True."""
    removed = await connection.execute(delete(console_tokens).where(console_tokens.c.digest == digest))
    return bool(removed.rowcount)


async def remove_expired(connection: Connection, now: dt.datetime) -> None:
    await connection.execute(delete(console_tokens).where(console_tokens.c.expires_at <= now))


async def count_of(connection: Connection, server_uuid: str) -> int:
    query = select(func.count(console_tokens.c.digest)).where(console_tokens.c.server_uuid == server_uuid)
    return int((await connection.execute(query)).scalar_one())
