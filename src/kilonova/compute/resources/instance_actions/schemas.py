"""Wire shapes of what was done to a server: actions with their events, and scheduling decisions."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from kilonova.compute.models import Decision
from kilonova.compute.web.fields import Link
from kilonova.core.web.wire import View, versions


class Event(View, kw_only=True, rename={"host_id": "hostId"}):
    """One step. Fields left UNSET are not the caller's to see."""

    event: str
    start_time: str
    finish_time: str | None
    result: str | None
    traceback: str | UnsetType | None = UNSET
    host: Annotated[str | UnsetType | None, versions("2.62")] = UNSET
    host_id: Annotated[str, versions("2.62")] = ""
    details: Annotated[str | UnsetType | None, versions("2.84")] = UNSET


class Action(View, kw_only=True):
    action: str
    instance_uuid: str
    request_id: str
    user_id: str | None
    project_id: str | None
    start_time: str
    message: str | None
    updated_at: Annotated[str | None, versions("2.58")] = None
    events: list[Event] | UnsetType = UNSET


class Actions(View, kw_only=True, rename={"items": "instanceActions"}):
    items: list[Action]
    links: Annotated[list[Link] | UnsetType, versions("2.58")] = UNSET


class ActionBody(View, kw_only=True, rename={"item": "instanceAction"}):
    item: Action


class DecisionView(View, kw_only=True):
    request_id: str
    created_at: str | None
    decision: Decision


class Decisions(View, kw_only=True):
    decisions: list[DecisionView]
