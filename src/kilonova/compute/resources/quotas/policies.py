"""Policy rules of quota sets, quota classes and limits."""

from __future__ import annotations

from kilonova.compute.policy_checks import READER
from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN, ANYONE

RULE, CLASSES, LIMITS = f"{R}:os-quota-sets", f"{R}:os-quota-class-sets", f"{R}:limits"
OTHER_PROJECT = f"{LIMITS}:other_project"
RULES = {
    f"{RULE}:show": READER,
    f"{RULE}:detail": READER,
    f"{RULE}:defaults": ANYONE,
    f"{RULE}:update": ADMIN,
    f"{RULE}:delete": ADMIN,
    f"{CLASSES}:show": ADMIN,
    f"{CLASSES}:update": ADMIN,
    LIMITS: ANYONE,
    OTHER_PROJECT: ADMIN,
}
