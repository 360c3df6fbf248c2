"""Policy rules of QoS policies, with upstream's names. To share one with every project is for admins alone, as with networks."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, READER_OR_OWNER

MANAGER_OR_ADMIN = "rule:admin_required or role:manager and rule:owner"

RULES: dict[str, str] = {
    "create_policy": MANAGER_OR_ADMIN,
    "create_policy:shared": ADMIN,
    "get_policy": f"{READER_OR_OWNER} or rule:shared",
    "update_policy": MANAGER_OR_ADMIN,
    "update_policy:shared": ADMIN,
    "delete_policy": MANAGER_OR_ADMIN,
}
