"""Auto-allocated topologies over HTTP."""

from __future__ import annotations

import msgspec

from kilonova.core.web.call import Call, Reply
from kilonova.core.web.validation_errors import violation_of
from kilonova.network.errors import HTTPBadRequest
from kilonova.network.resources.auto_allocated_topology.logic import TopologyLogic
from kilonova.network.resources.auto_allocated_topology.schemas import Topology, TopologyBody
from kilonova.network.resources.base.access import seeing
from kilonova.network.resources.base.errors import BadRequest
from kilonova.network.resources.base.facts import owned_by
from kilonova.network.resources.base.schemas import ProjectId

DRY_RUN = "dry-run"


class Topologies:
    def __init__(self, logic: TopologyLogic) -> None:
        self.logic = logic

    async def show(self, call: Call, project_id: str) -> Reply:
        project_id = _project(call, project_id)
        fields = [field for field in call.query.getall("fields", []) if field]
        if DRY_RUN in fields:
            await self.logic.check(seeing(call))
            return _reply("dry-run=pass", project_id)
        if fields:
            raise BadRequest(resource="auto_allocate", reason="Unrecognized field")
        return _reply(await self.logic.get(call.ctx, project_id, seeing(call)), project_id)

    async def delete(self, call: Call, project_id: str) -> Reply:
        await self.logic.delete(call.ctx, _project(call, project_id), seeing(call))
        return Reply()


def _project(call: Call, project_id: str) -> str:
    """The caller's own for `None`, as clients send where they name no project."""
    found = call.ctx.project_id or "" if project_id == "None" else project_id
    call.authorize(owned_by(found))
    if not found:
        raise HTTPBadRequest(reason="project_id must be specified by a caller without a project")
    try:
        return msgspec.convert(found, ProjectId)
    except msgspec.ValidationError as error:
        raise HTTPBadRequest(reason=f"the project's id {violation_of(error, ProjectId).what}") from None


def _reply(network_id: str, project_id: str) -> Reply:
    return Reply(
        TopologyBody(auto_allocated_topology=Topology(id=network_id, project_id=project_id, tenant_id=project_id))
    )
