"""Policy rules of hypervisors."""

from __future__ import annotations

from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN

RULE = f"{R}:os-hypervisors"
RULES = {
    f"{RULE}:{verb}": ADMIN for verb in ("list", "list-detail", "statistics", "show", "uptime", "search", "servers")
}
