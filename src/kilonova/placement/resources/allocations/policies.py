"""Rules of allocations and of the usage of projects, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN

RULES: dict[str, str] = {
    "placement:resource_providers:allocations:list": ADMIN,
    "placement:allocations:list": ADMIN,
    "placement:allocations:update": ADMIN,
    "placement:allocations:manage": ADMIN,
    "placement:allocations:delete": ADMIN,
    "placement:usages": f"{ADMIN} or rule:project_reader",
}
