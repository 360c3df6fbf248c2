"""Policy rules of services."""

from __future__ import annotations

from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN

RULE = f"{R}:os-services"
RULES = {f"{RULE}:{verb}": ADMIN for verb in ("list", "update", "delete")}
