"""Policy rules, with upstream's names."""

from __future__ import annotations

SERVICE = "role:service or rule:admin_required"
RULES: dict[str, str] = {
    "placement:resource_providers:list": SERVICE,
    "placement:resource_providers:create": SERVICE,
    "placement:resource_providers:show": SERVICE,
    "placement:resource_providers:update": SERVICE,
    "placement:resource_providers:delete": SERVICE,
    "placement:resource_providers:inventories:list": SERVICE,
    "placement:resource_providers:inventories:update": SERVICE,
    "placement:resource_providers:usages": SERVICE,
    "placement:resource_providers:allocations:list": SERVICE,
    "placement:allocations:list": SERVICE,
    "placement:allocations:update": SERVICE,
    "placement:allocations:manage": SERVICE,
    "placement:allocations:delete": SERVICE,
    "placement:usages": f"{SERVICE} or rule:project_reader",
}
