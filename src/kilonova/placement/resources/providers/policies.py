"""Rules of resource providers, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN

BASE = "placement:resource_providers"
RULES: dict[str, str] = {
    f"{BASE}:list": ADMIN,
    f"{BASE}:create": ADMIN,
    f"{BASE}:show": ADMIN,
    f"{BASE}:update": ADMIN,
    f"{BASE}:delete": ADMIN,
    f"{BASE}:inventories:list": ADMIN,
    f"{BASE}:inventories:update": ADMIN,
    f"{BASE}:usages": ADMIN,
}
