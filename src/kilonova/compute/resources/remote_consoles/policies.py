"""Policy rules of remote consoles."""

from __future__ import annotations

from kilonova.compute.policy_checks import MEMBER
from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN

CONSOLES, TOKENS = f"{R}:os-remote-consoles", f"{R}:os-console-auth-tokens"
RULES = {CONSOLES: MEMBER, TOKENS: ADMIN}
