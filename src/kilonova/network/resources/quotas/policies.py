"""Policy rules of quotas, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN

RULES: dict[str, str] = {
    "get_quota": f"{ADMIN} or rule:project_reader",
    "update_quota": ADMIN,
    "delete_quota": ADMIN,
}
