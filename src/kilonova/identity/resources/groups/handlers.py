"""Groups and their members over HTTP."""

from __future__ import annotations

from kilonova.core.web.call import Call, Reply
from kilonova.identity.resources.groups import schemas as shapes
from kilonova.identity.resources.groups import views
from kilonova.identity.resources.groups.logic import GroupLogic
from kilonova.identity.resources.users import views as user_views
from kilonova.identity.resources.users.handlers import user_filters
from kilonova.identity.web.body import columns, domain_of, read
from kilonova.identity.web.query import given


class Groups:
    def __init__(self, groups: GroupLogic) -> None:
        self.groups = groups

    async def list(self, call: Call) -> Reply:
        filters = given(name=call.query.get("name"), domain_id=call.query.get("domain_id"))
        return Reply(views.groups(call, "/v3/groups", await self.groups.list(**filters)))

    async def show(self, call: Call, group_id: str) -> Reply:
        return Reply(shapes.GroupBody(group=views.group(call, await self.groups.get(group_id))))

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, shapes.GroupCreateBody)
        values = columns(body.group) | {"extra": extra, "domain_id": body.group.domain_id or domain_of(call)}
        return Reply(shapes.GroupBody(group=views.group(call, await self.groups.create(values))))

    async def update(self, call: Call, group_id: str) -> Reply:
        body, extra = await read(call, shapes.GroupUpdateBody)
        row = await self.groups.update(group_id, columns(body.group), extra)
        return Reply(shapes.GroupBody(group=views.group(call, row)))

    async def delete(self, call: Call, group_id: str) -> Reply:
        await self.groups.delete(group_id)
        return Reply()

    async def members(self, call: Call, group_id: str) -> Reply:
        rows = await self.groups.members(group_id, **user_filters(call))
        return Reply(user_views.users(call, f"/v3/groups/{group_id}/users", rows))

    async def add_member(self, call: Call, group_id: str, user_id: str) -> Reply:
        await self.groups.add_member(group_id, user_id)
        return Reply()

    async def check_member(self, call: Call, group_id: str, user_id: str) -> Reply:
        await self.groups.check_member(group_id, user_id)
        return Reply()

    async def remove_member(self, call: Call, group_id: str, user_id: str) -> Reply:
        await self.groups.remove_member(group_id, user_id)
        return Reply()
