"""Routes of groups and their members."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.groups import schemas as shapes
from kilonova.identity.resources.groups.handlers import Groups
from kilonova.identity.resources.groups.logic import GroupLogic
from kilonova.identity.resources.groups.policies import RULES
from kilonova.identity.resources.users.schemas import Users
from kilonova.identity.web.resource import Resource, crud


def routes(deps: Deps) -> list[Route]:
    api = Groups(GroupLogic(deps))
    members = "/v3/groups/{group_id:str}/users"
    member, check = members + "/{user_id:str}", "identity:check_user_in_group"
    add, remove = "identity:add_user_to_group", "identity:remove_user_from_group"
    return [
        *crud(
            "/v3/groups", "group", api,
            one=shapes.GroupBody, several=shapes.Groups, create=shapes.GroupCreateBody, update=shapes.GroupUpdateBody,
        ),
        Route("GET", members, api.members, "identity:list_users_in_group", reply=Users, summary="List a group's members."),
        Route("PUT", member, api.add_member, add, 204, summary="Add a user to a group."),
        Route("GET", member, api.check_member, check, 204, summary="Check whether a user is in a group."),
        Route("HEAD", member, api.check_member, check, 204, summary="Check whether a user is in a group."),
        Route("DELETE", member, api.remove_member, remove, 204, summary="Remove a user from a group."),
    ]  # fmt: skip


GROUPS = Resource(routes, RULES)
