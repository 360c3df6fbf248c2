"""Policy rules about what agents host, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN

RULES: dict[str, str] = {
    "get_l3-routers": ADMIN,
    "create_l3-router": ADMIN,
    "delete_l3-router": ADMIN,
    "get_l3-agents": ADMIN,
    "get_dhcp-networks": ADMIN,
    "get_dhcp-agents": ADMIN,
}
