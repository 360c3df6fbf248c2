"""Services over HTTP."""

from __future__ import annotations

import uuid
from typing import Any

from msgspec import UnsetType

from kilonova.compute.resources.services import errors
from kilonova.compute.resources.services import schemas as shapes
from kilonova.compute.resources.services.logic import Known, ServiceLogic
from kilonova.compute.times import shown_bare
from kilonova.compute.web.fields import truth
from kilonova.compute.web.query import at_least
from kilonova.core import errors as core_errors
from kilonova.core.web.call import Call, InvalidInput, Reply


class Services:
    def __init__(self, logic: ServiceLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        known = await self.logic.list(host=call.query.get("host"), binary=call.query.get("binary"))
        return Reply(shapes.Services(services=[_view(item) for item in known]))

    async def update(self, call: Call, service_id: str) -> Reply:
        return await (self._update if at_least(call, "2.53") else self._update_old)(call, service_id)

    async def _update(self, call: Call, service_id: str) -> Reply:
        service_uuid = _uuid(service_id)
        asked = await call.decode(shapes.ServiceUpdate)
        values: dict[str, Any] = {}
        reason = None if isinstance(asked.disabled_reason, UnsetType) else asked.disabled_reason
        if asked.status == "enabled":
            if reason is not None:
                raise InvalidInput(reason="Specifying 'disabled_reason' with status 'enabled' is invalid.")
            values |= {"disabled": False, "disabled_reason": None}
        elif asked.status == "disabled":
            values |= {"disabled": True, "disabled_reason": reason}
        if not isinstance(asked.forced_down, UnsetType):
            values["forced_down"] = truth(asked.forced_down)
        if not values:
            raise core_errors.BadRequest(
                "No updates were requested. Fields 'status' or 'forced_down' should be specified."
            )
        known = await self.logic.list(uuid=service_uuid)
        if not known:
            raise errors.ServiceNotFound(service_id=service_id)
        await self.logic.change(values, uuid=service_uuid, binary=known[0].row.binary)
        (known_now,) = await self.logic.list(uuid=service_uuid)
        return Reply(shapes.ServiceBody(service=_view(known_now)))

    async def _update_old(self, call: Call, action: str) -> Reply:
        asked = await call.decode(shapes.OldServiceUpdate)
        shown = shapes.OldService(host=asked.host, binary=asked.binary)
        if action == "force-down" and at_least(call, "2.11"):
            if isinstance(asked.forced_down, UnsetType):
                raise core_errors.BadRequest("Missing forced_down field")
            shown.forced_down = truth(asked.forced_down)
            values: dict[str, Any] = {"forced_down": shown.forced_down}
        elif action in ("enable", "disable", "disable-log-reason"):
            reason = None if isinstance(asked.disabled_reason, UnsetType) else asked.disabled_reason
            if action == "disable-log-reason" and reason is None:
                raise core_errors.BadRequest("Missing disabled reason field")
            off = action != "enable"
            values = {"disabled": off, "disabled_reason": reason if action == "disable-log-reason" else None}
            shown.status = "disabled" if off else "enabled"
            if values["disabled_reason"]:
                shown.disabled_reason = values["disabled_reason"]
        else:
            raise core_errors.NotFound("Unknown action")
        await self.logic.change(values, host=asked.host, binary=asked.binary)
        return Reply(shapes.OldServiceBody(service=shown))

    async def delete(self, call: Call, service_id: str) -> Reply:
        if at_least(call, "2.53"):
            await self.logic.delete(call.ctx, uuid=_uuid(service_id), number=None)
        else:
            if not (service_id.isdecimal() and len(service_id) < 10):
                raise InvalidInput(reason=f"id {service_id!r} is not an integer")
            await self.logic.delete(call.ctx, uuid=None, number=int(service_id))
        return Reply()


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise core_errors.BadRequest(f"Invalid uuid {text}") from None


def _view(item: Known) -> shapes.ServiceView:
    row = item.row
    return shapes.ServiceView(
        number=row.id, uuid=row.uuid, binary=row.binary, host=row.host, zone=item.zone,
        status="disabled" if row.disabled else "enabled", state="up" if item.up else "down",
        updated_at=shown_bare(row.last_seen), disabled_reason=row.disabled_reason, forced_down=row.forced_down,
    )  # fmt: skip
