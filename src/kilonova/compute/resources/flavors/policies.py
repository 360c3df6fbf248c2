"""Policy rules of flavors."""

from __future__ import annotations

from kilonova.compute.resources.base import R
from kilonova.core.policy import ADMIN, ANYONE

READ, MANAGE = f"{R}:flavors", f"{R}:os-flavor-manage"
RULES = {
    READ: ANYONE,
    f"{MANAGE}:create": ADMIN,
    f"{MANAGE}:update": ADMIN,
    f"{MANAGE}:delete": ADMIN,
}
