"""Policy rules of what was done to a server."""

from __future__ import annotations

from kilonova.compute.policy_checks import READER
from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN

RULE, DECISIONS = f"{R}:os-instance-actions", "kilonova:servers:decisions"
RULES = {
    f"{RULE}:list": READER,
    f"{RULE}:show": READER,
    f"{RULE}:events": ADMIN,
    f"{RULE}:events:details": ADMIN,
    DECISIONS: ADMIN,
}
