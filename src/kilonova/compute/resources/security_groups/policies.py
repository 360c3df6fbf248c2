"""Policy rules of security groups."""

from __future__ import annotations

from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import R

RULE = f"{R}:os-security-groups"
RULES = {
    f"{RULE}:get": READER,
    f"{RULE}:show": READER,
    f"{RULE}:create": MEMBER,
    f"{RULE}:update": MEMBER,
    f"{RULE}:delete": MEMBER,
    f"{RULE}:rule:create": MEMBER,
    f"{RULE}:rule:delete": MEMBER,
}
