"""Policy rules of host aggregates."""

from __future__ import annotations

from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN

RULE, IMAGES = f"{R}:os-aggregates", "compute:aggregates:images"
VERBS = ("index", "show", "create", "update", "delete", "add_host", "remove_host", "set_metadata")
RULES = {f"{RULE}:{verb}": ADMIN for verb in VERBS} | {IMAGES: ADMIN}
