"""Policy rules of flavors, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN

RULES: dict[str, str] = {
    "create_flavor": ADMIN,
    "get_flavor": "role:reader or role:member or role:admin",
    "update_flavor": ADMIN,
    "delete_flavor": ADMIN,
    "create_flavor_service_profile": ADMIN,
    "delete_flavor_service_profile": ADMIN,
}
