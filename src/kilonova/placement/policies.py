"""Policy rules, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN

RULES: dict[str, str] = {
    "placement:resource_providers:list": ADMIN,
    "placement:resource_providers:create": ADMIN,
    "placement:resource_providers:show": ADMIN,
    "placement:resource_providers:update": ADMIN,
    "placement:resource_providers:delete": ADMIN,
    "placement:resource_providers:inventories:list": ADMIN,
    "placement:resource_providers:inventories:update": ADMIN,
    "placement:resource_providers:usages": ADMIN,
    "placement:resource_providers:allocations:list": ADMIN,
    "placement:allocations:list": ADMIN,
    "placement:allocations:update": ADMIN,
    "placement:allocations:manage": ADMIN,
    "placement:allocations:delete": ADMIN,
    "placement:usages": f"{ADMIN} or rule:project_reader",
}
