"""oslo.messaging's notification, as its AMQP drivers send it: version 2.0 of the envelope around a JSON text."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec

from kilonova.core.context import RequestContext

VERSION = "2.0"


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """`priority` is INFO or ERROR; `timestamp` and what is in `payload` and `context` are JSON's own types."""

    topic: str
    publisher_id: str
    event_type: str
    priority: str
    payload: dict[str, Any]
    context: dict[str, Any]
    timestamp: str
    message_id: str

    @property
    def queue(self) -> str:
        """The routing key, and the name of the queue that waits for it."""
        return f"{self.topic}.{self.priority.lower()}"


def encode(notification: Notification) -> bytes:
    message = {
        "message_id": notification.message_id,
        "publisher_id": notification.publisher_id,
        "event_type": notification.event_type,
        "priority": notification.priority,
        "payload": notification.payload,
        "timestamp": notification.timestamp,
        "_unique_id": uuid.UUID(notification.message_id).hex,
    } | {f"_context_{key}": value for key, value in notification.context.items()}
    return msgspec.json.encode({"oslo.version": VERSION, "oslo.message": msgspec.json.encode(message).decode()})


def timestamp(moment: dt.datetime) -> str:
    """`2026-01-31 12:00:00.000000`, UTC."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def context(ctx: RequestContext) -> dict[str, Any]:
    """Its initiator, by upstream's names; never the token."""
    return {
        "request_id": ctx.request_id,
        "global_request_id": ctx.global_request_id,
        "user": ctx.user_id,
        "user_id": ctx.user_id,
        "user_name": ctx.user_name,
        "user_domain": ctx.user_domain_id,
        "tenant": ctx.project_id,
        "project_id": ctx.project_id,
        "project_name": ctx.project_name,
        "project_domain": ctx.project_domain_id,
        "domain": ctx.domain_id,
        "roles": list(ctx.roles),
        "is_admin": ctx.is_admin,
        "read_deleted": "no",
        "resource_uuid": None,
    }
