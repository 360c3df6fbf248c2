"""Users and groups over HTTP."""

from __future__ import annotations

from typing import Any

from kilonova.core.web.call import Call, Reply
from kilonova.identity.resources.auth.handlers import SourceOf
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.base import given
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.resources.users import schemas as shapes
from kilonova.identity.resources.users.logic import GroupLogic, UserLogic
from kilonova.identity.web import links
from kilonova.identity.web.body import columns, flag, given_options, read


def domain_of(call: Call) -> str:
    """Where things are made when the client names no domain."""
    return call.ctx.domain_id or call.ctx.project_domain_id or call.ctx.user_domain_id or "default"


def user_filters(call: Call) -> dict[str, Any]:
    query = call.query
    return given(name=query.get("name"), domain_id=query.get("domain_id"), enabled=flag(call, "enabled"))


class Users:
    def __init__(self, users: UserLogic, projects: ProjectLogic, auth: AuthLogic, source_of: SourceOf) -> None:
        self.users, self.projects_logic, self.auth, self.source_of = users, projects, auth, source_of

    async def list(self, call: Call) -> Reply:
        rows = await self.users.list(**user_filters(call))
        return Reply(links.listing(call, "/v3/users", "users", [links.user(call, row) for row in rows]))

    async def show(self, call: Call, user_id: str) -> Reply:
        return Reply({"user": links.user(call, await self.users.get(user_id))})

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, "user", shapes.UserCreate)
        values = columns(body, "password", "options") | {"extra": extra, "options": given_options(body.options)}
        values["domain_id"] = body.domain_id or domain_of(call)
        return Reply({"user": links.user(call, await self.users.create(values, body.password))})

    async def update(self, call: Call, user_id: str) -> Reply:
        body, extra = await read(call, "user", shapes.UserUpdate)
        password = body.password if isinstance(body.password, str) else None
        values = columns(body, "password", "options") | {"options": given_options(body.options)}
        row = await self.users.update(user_id, values, extra, password)
        return Reply({"user": links.user(call, row)})

    async def delete(self, call: Call, user_id: str) -> Reply:
        await self.users.delete(user_id)
        return Reply()

    async def change_password(self, call: Call, user_id: str) -> Reply:
        """Proven by the old password, not by a token."""
        body, _ = await read(call, "user", shapes.PasswordChange)
        await self.auth.check_user_password(user_id, body.original_password, source=self.source_of(call))
        await self.users.change_password(user_id, body.password)
        return Reply()

    async def projects(self, call: Call, user_id: str) -> Reply:
        await self.users.get(user_id)
        rows = await self.projects_logic.of_user(user_id)
        path = f"/v3/users/{user_id}/projects"
        return Reply(links.listing(call, path, "projects", [links.project(call, row) for row in rows]))

    async def groups(self, call: Call, user_id: str) -> Reply:
        rows = await self.users.groups(user_id, **given(name=call.query.get("name")))
        path = f"/v3/users/{user_id}/groups"
        return Reply(links.listing(call, path, "groups", [links.group(call, row) for row in rows]))

    async def access_rules(self, call: Call, user_id: str) -> Reply:
        """None can be made yet; see resources/credentials/schemas.py."""
        return Reply(links.listing(call, f"/v3/users/{user_id}/access_rules", "access_rules", []))


class Groups:
    def __init__(self, groups: GroupLogic) -> None:
        self.groups = groups

    async def list(self, call: Call) -> Reply:
        filters = given(name=call.query.get("name"), domain_id=call.query.get("domain_id"))
        rows = await self.groups.list(**filters)
        return Reply(links.listing(call, "/v3/groups", "groups", [links.group(call, row) for row in rows]))

    async def show(self, call: Call, group_id: str) -> Reply:
        return Reply({"group": links.group(call, await self.groups.get(group_id))})

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, "group", shapes.GroupCreate)
        values = columns(body) | {"extra": extra, "domain_id": body.domain_id or domain_of(call)}
        return Reply({"group": links.group(call, await self.groups.create(values))})

    async def update(self, call: Call, group_id: str) -> Reply:
        body, extra = await read(call, "group", shapes.GroupUpdate)
        return Reply({"group": links.group(call, await self.groups.update(group_id, columns(body), extra))})

    async def delete(self, call: Call, group_id: str) -> Reply:
        await self.groups.delete(group_id)
        return Reply()

    async def members(self, call: Call, group_id: str) -> Reply:
        rows = await self.groups.members(group_id, **user_filters(call))
        path = f"/v3/groups/{group_id}/users"
        return Reply(links.listing(call, path, "users", [links.user(call, row) for row in rows]))

    async def add_member(self, call: Call, group_id: str, user_id: str) -> Reply:
        await self.groups.add_member(group_id, user_id)
        return Reply()

    async def check_member(self, call: Call, group_id: str, user_id: str) -> Reply:
        await self.groups.check_member(group_id, user_id)
        return Reply()

    async def remove_member(self, call: Call, group_id: str, user_id: str) -> Reply:
        await self.groups.remove_member(group_id, user_id)
        return Reply()
