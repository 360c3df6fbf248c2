"""Routes of users."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.auth.logic import AuthLogic
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.groups.schemas import Groups
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.resources.projects.schemas import Projects
from kilonova.identity.resources.users import schemas as shapes
from kilonova.identity.resources.users.handlers import Users
from kilonova.identity.resources.users.logic import UserLogic
from kilonova.identity.resources.users.policies import RULES
from kilonova.identity.web.client_address import sources
from kilonova.identity.web.resource import Resource, crud


def routes(deps: Deps) -> list[Route]:
    api = Users(UserLogic(deps), ProjectLogic(deps), AuthLogic(deps), sources(deps.options.proxies))
    user = "/v3/users/{user_id:str}"
    return [
        *crud(
            "/v3/users", "user", api,
            one=shapes.UserBody, several=shapes.Users, create=shapes.UserCreateBody, update=shapes.UserUpdateBody,
        ),
        Route(  # the old password authenticates the caller
            "POST", user + "/password", api.change_password, public=True, status=204,
            body=shapes.PasswordChangeBody, summary="Change one's own password.",
        ),
        Route(
            "GET", user + "/projects", api.projects, "identity:list_user_projects",
            reply=Projects, summary="List the projects on which a user has a role.",
        ),
        Route(
            "GET", user + "/groups", api.groups, "identity:list_groups_for_user",
            reply=Groups, summary="List the groups that a user is in.",
        ),
        Route(
            "GET", user + "/access_rules", api.access_rules, "identity:list_access_rules",
            reply=shapes.AccessRules, summary="List a user's access rules: there are none.",
        ),
    ]  # fmt: skip


USERS = Resource(routes, RULES)
