"""Policy rules of floating IPs; those of giving them to servers are among the server actions'."""

from __future__ import annotations

from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import R
from kilonova.core.policy import ANYONE

RULE, POOLS = f"{R}:os-floating-ips", f"{R}:os-floating-ip-pools"
RULES = {
    f"{RULE}:list": READER,
    f"{RULE}:show": READER,
    f"{RULE}:create": MEMBER,
    f"{RULE}:delete": MEMBER,
    POOLS: ANYONE,
}
