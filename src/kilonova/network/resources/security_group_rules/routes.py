"""Security group rules: what the API knows of them."""

from __future__ import annotations

from kilonova.core.addresses import parse_interface
from kilonova.core.web.app import DEFAULT_MAX_BODY
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.security_group_rules.logic import SecurityGroupRuleLogic
from kilonova.network.resources.security_group_rules.policies import RULES
from kilonova.network.resources.security_group_rules.schemas import Rule, RuleCreate

SECURITY_GROUP_RULES_RESOURCE = CrudResource(
    name="security_group_rule",
    collection="security_group_rules",
    path="security-group-rules",
    view=Rule,
    create=RuleCreate,
    addresses={"remote_ip_prefix": parse_interface},
    derived=frozenset({"normalized_cidr"}),
    rules=RULES,
    see_new="get_security_group",
    logic=SecurityGroupRuleLogic,
    max_body=DEFAULT_MAX_BODY,
    quota=True,
    extensions=(
        Extension(
            "security-groups-normalized-cidr", "Normalized CIDR field for security group rules",
            "2020-07-28T10:00:00-00:00", "Rules show their prefix without host bits",
        ),
    ),
)  # fmt: skip
