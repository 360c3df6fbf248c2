"""External events over HTTP."""

from __future__ import annotations

import uuid

from kilonova.compute.models import ExternalEvent
from kilonova.compute.resources.external_events import schemas as shapes
from kilonova.compute.resources.external_events.logic import ExternalEventLogic
from kilonova.compute.web.common import at_least
from kilonova.core.web.call import Call, InvalidInput, Reply


class ExternalEvents:
    def __init__(self, logic: ExternalEventLogic) -> None:
        self.logic = logic

    async def create(self, call: Call) -> Reply:
        given = (await call.decode(shapes.EventsIn)).events
        for item in given:
            if item.name not in shapes.SINCE or not at_least(call, shapes.SINCE[item.name]):
                raise InvalidInput(reason=f"{item.name!r} is not one of {sorted(shapes.SINCE)}")
        events = [
            ExternalEvent(name=e.name, server_uuid=str(uuid.UUID(e.server_uuid)), status=e.status, tag=e.tag)
            for e in given
        ]
        codes = await self.logic.deliver(call.ctx, events)
        items = [
            shapes.EventOut(
                name=e.name, server_uuid=e.server_uuid, tag=e.tag, code=code,
                status="completed" if code == 200 else "failed")
            for e, code in zip(given, codes, strict=True)
        ]  # fmt: skip
        return Reply(shapes.EventsOut(events=items), status=200 if set(codes) == {200} else 207)
