"""Routes of role assignments: the list of all, and grants for every pair of target and actor."""

from __future__ import annotations

from kilonova.core.web.app import Route
from kilonova.identity.resources.assignments import schemas as shapes
from kilonova.identity.resources.assignments.handlers import Grants, RoleAssignments
from kilonova.identity.resources.assignments.logic import AssignmentLogic
from kilonova.identity.resources.assignments.policies import CHECKS, RULES, grant_rule
from kilonova.identity.resources.base import Deps
from kilonova.identity.resources.projects.logic import ProjectLogic
from kilonova.identity.resources.roles.schemas import Roles
from kilonova.identity.web.resource import Resource


def routes(deps: Deps) -> list[Route]:
    assignments = AssignmentLogic(deps)
    listing = RoleAssignments(assignments, ProjectLogic(deps))
    return [
        Route(
            "GET", "/v3/role_assignments", listing.list, "identity:list_role_assignments",
            reply=shapes.Assignments, summary="List which users and groups have which roles where.",
        ),
        *(
            route
            for actor in ("user", "group")
            for target in ("project", "domain", "system")
            for route in _routes_of_pair(assignments, target, actor)
        ),
    ]  # fmt: skip


def _routes_of_pair(assignments: AssignmentLogic, target: str, actor: str) -> list[Route]:
    """`/TARGET/ACTOR/roles[/ROLE]`, and the inherited ones of projects and domains."""
    where = "system" if target == "system" else f"{target}s/{{{target}_id:str}}"
    path = f"{where}/{actor}s/{{{actor}_id:str}}/roles"
    rules, on = [grant_rule(verb, target, actor) for verb in CHECKS], f"{actor} on the system"
    if target == "system":
        return _grants(Grants(assignments, actor=actor, target=target), f"/v3/{path}", "", rules, on)
    on = f"{actor} on a {target}"
    tail, below = "/inherited_to_projects", f"{on}'s projects" if target == "domain" else f"{on}'s subprojects"
    inherited = Grants(assignments, actor=actor, target=target, inherited=True)
    return [
        *_grants(Grants(assignments, actor=actor, target=target), f"/v3/{path}", "", rules, on),
        *_grants(inherited, f"/v3/OS-INHERIT/{path}", tail, rules, below),
    ]


def _grants(api: Grants, path: str, tail: str, rules: list[str], on: str) -> list[Route]:
    listing, check, create, revoke = rules
    one = f"{path}/{{role_id:str}}{tail}"
    return [
        Route("GET", path + tail, api.list, listing, reply=Roles, summary=f"List the roles of a {on}."),
        Route("GET", one, api.check, check, 204, summary=f"Check whether a role is granted to a {on}."),
        Route("HEAD", one, api.check, check, 204, summary=f"Check whether a role is granted to a {on}."),
        Route("PUT", one, api.grant, create, 204, summary=f"Grant a role to a {on}."),
        Route("DELETE", one, api.revoke, revoke, 204, summary=f"Revoke a role from a {on}."),
    ]


ASSIGNMENTS = Resource(routes, RULES)
