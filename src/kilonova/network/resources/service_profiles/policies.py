"""Policy rules of service profiles, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN

RULES: dict[str, str] = {
    "create_service_profile": ADMIN,
    "get_service_profile": ADMIN,
    "update_service_profile": ADMIN,
    "delete_service_profile": ADMIN,
}
