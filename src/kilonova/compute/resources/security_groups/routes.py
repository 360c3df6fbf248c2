"""Routes of security groups, as compute had them until 2.35."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.security_groups import schemas as shapes
from kilonova.compute.resources.security_groups.handlers import SecurityGroups
from kilonova.compute.resources.security_groups.logic import SecurityGroupLogic
from kilonova.compute.resources.security_groups.policies import RULE, RULES
from kilonova.core.web.app import Route

LAST = "2.35"


def routes(deps: Deps) -> list[Route]:
    groups = SecurityGroups(SecurityGroupLogic(deps.networks))
    every, rules = V + "/os-security-groups", V + "/os-security-group-rules"
    one, body, shown = every + "/{group_id:str}", shapes.GroupIn, shapes.GroupOut
    return [
        Route(
            "GET", every, groups.list, f"{RULE}:get", until=LAST, reply=shapes.GroupsOut, summary="List security groups."
        ),
        Route(
            "POST", every, groups.create, f"{RULE}:create", until=LAST, body=body, reply=shown,
            summary="Create a security group.",
        ),
        Route("GET", one, groups.show, f"{RULE}:show", until=LAST, reply=shown, summary="Show a security group."),
        Route(
            "PUT", one, groups.update, f"{RULE}:update", until=LAST, body=body, reply=shown,
            summary="Change the name or description of a security group.",
        ),
        Route("DELETE", one, groups.delete, f"{RULE}:delete", 202, until=LAST, summary="Delete a security group."),
        Route(
            "POST", rules, groups.create_rule, f"{RULE}:rule:create", until=LAST, body=shapes.RuleIn,
            reply=shapes.RuleOut, summary="Add a rule to a security group.",
        ),
        Route(
            "DELETE", rules + "/{rule_id:str}", groups.delete_rule, f"{RULE}:rule:delete", 202, until=LAST,
            summary="Delete a rule of a security group.",
        ),
    ]  # fmt: skip


SECURITY_GROUPS = Resource(routes, RULES)
