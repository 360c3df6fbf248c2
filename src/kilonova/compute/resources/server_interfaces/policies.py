"""Policy rules of a server's interfaces."""

from __future__ import annotations

from kilonova.compute.policy_checks import MEMBER, READER
from kilonova.compute.resources.base import R

RULE = f"{R}:os-attach-interfaces"
RULES = {f"{RULE}:list": READER, f"{RULE}:show": READER, f"{RULE}:create": MEMBER, f"{RULE}:delete": MEMBER}
