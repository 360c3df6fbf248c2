"""Quotas over HTTP."""

from __future__ import annotations

import msgspec
from msgspec import UnsetType

from kilonova.core import errors as core_errors
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.validation_errors import violation_of
from kilonova.network import errors
from kilonova.network.resources.base.schemas import ProjectId
from kilonova.network.resources.quotas.logic import QuotaLogic
from kilonova.network.resources.quotas.schemas import QuotaBody, QuotaDetailsBody, QuotaUpdate


class Quotas:
    def __init__(self, logic: QuotaLogic) -> None:
        self.logic = logic

    def _check(self, call: Call, project_id: str) -> None:
        call.authorize({"project_id": project_id, "tenant_id": project_id})

    async def list(self, call: Call) -> Reply:
        call.authorize({"project_id": "", "tenant_id": ""}, "update_quota")
        own = (await self.logic.list()).items()
        return Reply({"quotas": [{"project_id": p, "tenant_id": p} | limits for p, limits in own]})

    async def show(self, call: Call, project_id: str) -> Reply:
        self._check(call, project_id)
        return Reply(QuotaBody(quota=await self.logic.of_project(project_id)))

    async def details(self, call: Call, project_id: str) -> Reply:
        self._check(call, project_id)
        return Reply(QuotaDetailsBody(quota=await self.logic.details(project_id)))

    async def defaults(self, call: Call, project_id: str) -> Reply:
        self._check(call, project_id)
        return Reply(QuotaBody(quota=self.logic.defaults()))

    async def update(self, call: Call, project_id: str) -> Reply:
        try:
            msgspec.convert(project_id, ProjectId)
        except msgspec.ValidationError as error:
            raise errors.HTTPBadRequest(reason=f"the project's id {violation_of(error, ProjectId).what}") from None
        try:
            body = await call.decode(QuotaUpdate)
        except core_errors.BadRequest as error:
            raise errors.HTTPBadRequest(reason=error.message) from None
        if isinstance(body.quota, UnsetType):
            raise errors.HTTPBadRequest(reason="Unable to find 'quota' in request body")
        asked = body.quota
        force = asked.pop("force", False) is True
        asked.pop("check_limit", None)
        wrong = [name for name, limit in asked.items() if isinstance(limit, bool)]
        if wrong:
            raise errors.HTTPBadRequest(reason=f"Invalid input for {wrong[0]}. Reason: it is not an integer.")
        return Reply(QuotaBody(quota=await self.logic.update(project_id, dict(asked), force=force)))

    async def reset(self, call: Call, project_id: str) -> Reply:
        await self.logic.reset(project_id)
        return Reply()
