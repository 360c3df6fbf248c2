"""Routes of image members."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.core.web.resource import Resource
from kilonova.image.resources.base import Deps
from kilonova.image.resources.images.routes import ONE as IMAGE
from kilonova.image.resources.members import schemas as shapes
from kilonova.image.resources.members.handlers import Members
from kilonova.image.resources.members.logic import MemberLogic
from kilonova.image.resources.members.policies import RULES

ALL, ONE = IMAGE + "/members", IMAGE + "/members/{member:str}"


def routes(deps: Deps) -> list[Route]:
    members = Members(MemberLogic(deps.images))
    return [
        Route(
            "GET", ALL, members.list, "get_members", reply=shapes.Members,
            summary="List the projects that an image is shared with.",
        ),
        Route(
            "POST", ALL, members.create, "add_member", body=shapes.MemberCreate, reply=shapes.Member,
            summary="Share an image with a project.",
        ),
        Route("GET", ONE, members.show, "get_member", reply=shapes.Member, summary="Show a membership."),
        # whether it is the caller's own membership is known only later: then modify_member decides
        Route(
            "PUT", ONE, members.update, "get_member", body=shapes.MemberUpdate, reply=shapes.Member,
            summary="Accept or reject an image that was shared.",
        ),
        Route("DELETE", ONE, members.delete, "delete_member", 204, summary="Stop sharing an image with a project."),
    ]  # fmt: skip


MEMBERS = Resource(routes, RULES)
