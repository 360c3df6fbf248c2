"""Default security group rules: what the API knows of them."""

from __future__ import annotations

from kilonova.core.addresses import parse_interface
from kilonova.network.resources.base.resource import CrudResource, Extension
from kilonova.network.resources.default_security_group_rules.logic import DefaultRuleLogic
from kilonova.network.resources.default_security_group_rules.policies import RULES
from kilonova.network.resources.default_security_group_rules.schemas import DefaultRule, DefaultRuleCreate

DEFAULT_SECURITY_GROUP_RULES_RESOURCE = CrudResource(
    name="default_security_group_rule",
    collection="default_security_group_rules",
    path="default-security-group-rules",
    view=DefaultRule,
    create=DefaultRuleCreate,
    addresses={"remote_ip_prefix": parse_interface},
    unsorted=frozenset({"remote_group_id"}),
    rules=RULES,
    see_new="get_default_security_group_rule",
    logic=DefaultRuleLogic,
    extensions=(
        Extension(
            "security-groups-default-rules", "Default rules for security groups", "2022-12-19T10:00:00-00:00",
            "The rules that new security groups begin with",
        ),
    ),
)  # fmt: skip
