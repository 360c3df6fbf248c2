"""Policy rules of server groups."""

from __future__ import annotations

from kilonova.compute.policy_checks import INTO_OWN, MEMBER, READER
from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN

RULE = f"{R}:os-server-groups"
RULES = {
    f"{RULE}:create": INTO_OWN,
    f"{RULE}:delete": MEMBER,
    f"{RULE}:index": READER,
    f"{RULE}:index:all_projects": ADMIN,
    f"{RULE}:show": READER,
}
