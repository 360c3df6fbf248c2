"""Policy rules of usage reports."""

from __future__ import annotations

from kilonova.compute.policy_checks import READER
from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN

RULE = f"{R}:os-simple-tenant-usage"
RULES = {f"{RULE}:show": READER, f"{RULE}:list": ADMIN}
