"""SQL of messages to users."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import delete

from kilonova.core.db import Connection
from kilonova.volume import reasons
from kilonova.volume.store.base import OwnedRow, Rows
from kilonova.volume.tables import messages


class MessageRow(OwnedRow):
    event_id: str
    user_message: str
    message_level: str
    resource_type: str
    resource_uuid: str | None
    request_id: str
    created_at: dt.datetime
    guaranteed_until: dt.datetime


MESSAGES = Rows(messages, MessageRow)


async def expire(connection: Connection, now: dt.datetime) -> None:
    await connection.execute(delete(messages).where(messages.c.guaranteed_until < now))


async def tell(
    connection: Connection, *, noun: str, action: str, detail: str, now: dt.datetime, ttl: float, **about: Any
) -> None:
    """Write why something failed. `about`: id, project_id, resource_uuid, request_id."""
    await MESSAGES.add(
        connection,
        event_id=reasons.event_id(noun, action, detail),
        user_message=reasons.user_message(action, detail),
        message_level="ERROR",
        resource_type=reasons.NOUNS[noun],
        created_at=now,
        guaranteed_until=now + dt.timedelta(seconds=ttl),
        **about,
    )
