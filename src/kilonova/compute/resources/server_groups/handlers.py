"""Server groups over HTTP."""

from __future__ import annotations

from typing import Any

from msgspec import UnsetType

from kilonova.compute.resources.server_groups import schemas as shapes
from kilonova.compute.resources.server_groups.logic import ServerGroupLogic
from kilonova.compute.resources.server_groups.policies import RULE
from kilonova.compute.store.server_groups import ServerGroupRow
from kilonova.compute.web.query import number
from kilonova.core import errors as core_errors
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.wire import present


class ServerGroups:
    def __init__(self, logic: ServerGroupLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        project_id: str | None = call.ctx.project_id or ""
        if "all_projects" in call.query and call.allowed(f"{RULE}:index:all_projects"):
            project_id = None
        limit = min(number(call, "limit", 1000) or 1000, 1000)
        rows, members = await self.logic.list(project_id, limit=limit, offset=number(call, "offset"))
        return Reply(shapes.Groups(server_groups=[_view(row, members.get(row.uuid, [])) for row in rows]))

    async def show(self, call: Call, group_id: str) -> Reply:
        row, members = await self.logic.get(call.ctx, group_id)
        call.authorize({"project_id": row.project_id, "user_id": row.user_id})
        return Reply(shapes.GroupBody(server_group=_view(row, members)))

    async def create(self, call: Call) -> Reply:
        asked = (await call.decode(shapes.GroupCreate)).server_group
        old = present(asked.first_policies, None) or present(asked.policies, None)
        policy = present(asked.policy, None) or (old[0] if old else None)
        if policy is None:
            raise InvalidInput(reason="server_group must have 'policy', a required property")
        rules = _rules(asked)
        if rules and policy != "anti-affinity":
            raise core_errors.BadRequest("Only anti-affinity policy supports rules.")
        row = await self.logic.create(call.ctx, asked.name, policy, rules)
        return Reply(shapes.GroupBody(server_group=_view(row, [])))

    async def delete(self, call: Call, group_id: str) -> Reply:
        row, _ = await self.logic.get(call.ctx, group_id)
        call.authorize({"project_id": row.project_id, "user_id": row.user_id})
        await self.logic.delete(call.ctx, group_id)
        return Reply()


def _rules(asked: shapes.GroupIn) -> dict[str, Any]:
    if isinstance(asked.rules, UnsetType) or isinstance(asked.rules.max_server_per_host, UnsetType):
        return {}
    return {"max_server_per_host": int(asked.rules.max_server_per_host)}


Members = list[str]


def _view(row: ServerGroupRow, members: Members) -> shapes.Group:
    return shapes.Group(
        id=row.uuid, name=row.name, policies=[row.policy], policy=row.policy, rules=row.rules, members=members,
        project_id=row.project_id, user_id=row.user_id,
    )  # fmt: skip
