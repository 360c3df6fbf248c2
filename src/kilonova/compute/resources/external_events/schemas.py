"""Wire shapes of external events."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from kilonova.compute.web.fields import Uuid
from kilonova.core.web.wire import Body, View

SINCE = {  # name → the version that brought it
    "network-changed": "2.1", "network-vif-plugged": "2.1", "network-vif-unplugged": "2.1", "network-vif-deleted": "2.1",
    "volume-extended": "2.51", "power-update": "2.76", "accelerator-request-bound": "2.82", "volume-reimaged": "2.93",
}  # fmt: skip


class EventIn(Body, kw_only=True):
    name: str
    server_uuid: Uuid
    status: Literal["completed", "failed", "in-progress"] = "completed"
    tag: Annotated[str, Meta(max_length=255)] | None = None


class EventsIn(Body, kw_only=True):
    events: Annotated[list[EventIn], Meta(min_length=1, max_length=10000)]


class EventOut(View, kw_only=True, omit_defaults=True):
    name: str
    server_uuid: str
    status: str
    code: int
    tag: str | None = None


class EventsOut(View, kw_only=True):
    events: list[EventOut]
