"""Users over HTTP."""

from __future__ import annotations

from typing import Any

from kilonova.core.web.call import Call, Reply
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.groups import views as group_views
from kilonova.identity.resources.projects import views as project_views
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.resources.users import schemas as shapes
from kilonova.identity.resources.users import views
from kilonova.identity.resources.users.logic import UserLogic
from kilonova.identity.web.body import columns, domain_of, given_options, read
from kilonova.identity.web.client_address import SourceOf
from kilonova.identity.web.query import flag, given
from kilonova.identity.web.views import list_links


def user_filters(call: Call) -> dict[str, Any]:
    query = call.query
    return given(name=query.get("name"), domain_id=query.get("domain_id"), enabled=flag(call, "enabled"))


class Users:
    def __init__(self, users: UserLogic, projects: ProjectLogic, auth: AuthLogic, source_of: SourceOf) -> None:
        self.users, self.projects_logic, self.auth, self.source_of = users, projects, auth, source_of

    async def list(self, call: Call) -> Reply:
        return Reply(views.users(call, "/v3/users", await self.users.list(**user_filters(call))))

    async def show(self, call: Call, user_id: str) -> Reply:
        return Reply(shapes.UserBody(user=views.user(call, await self.users.get(user_id))))

    async def create(self, call: Call) -> Reply:
        body, extra = await read(call, shapes.UserCreateBody)
        user = body.user
        values = columns(user, "password", "options") | {"extra": extra, "options": given_options(user.options)}
        values["domain_id"] = user.domain_id or domain_of(call)
        return Reply(shapes.UserBody(user=views.user(call, await self.users.create(values, user.password))))

    async def update(self, call: Call, user_id: str) -> Reply:
        body, extra = await read(call, shapes.UserUpdateBody)
        user = body.user
        password = user.password if isinstance(user.password, str) else None
        values = columns(user, "password", "options") | {"options": given_options(user.options)}
        row = await self.users.update(user_id, values, extra, password)
        return Reply(shapes.UserBody(user=views.user(call, row)))

    async def delete(self, call: Call, user_id: str) -> Reply:
        await self.users.delete(user_id)
        return Reply()

    async def change_password(self, call: Call, user_id: str) -> Reply:
        """Proven by the old password, not by a token."""
        body, _ = await read(call, shapes.PasswordChangeBody)
        await self.auth.check_user_password(user_id, body.user.original_password, source=self.source_of(call))
        await self.users.change_password(user_id, body.user.password)
        return Reply()

    async def projects(self, call: Call, user_id: str) -> Reply:
        await self.users.get(user_id)
        rows = await self.projects_logic.of_user(user_id)
        return Reply(project_views.projects(call, f"/v3/users/{user_id}/projects", rows))

    async def groups(self, call: Call, user_id: str) -> Reply:
        rows = await self.users.groups(user_id, **given(name=call.query.get("name")))
        return Reply(group_views.groups(call, f"/v3/users/{user_id}/groups", rows))

    async def access_rules(self, call: Call, user_id: str) -> Reply:
        links = list_links(call, f"/v3/users/{user_id}/access_rules")
        return Reply(shapes.AccessRules(access_rules=[], links=links))
