"""Policy rules of floating IPs, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_floatingip": MEMBER_OR_OWNER,
    "create_floatingip:floating_ip_address": f"{ADMIN} or role:manager and project_id:%(project_id)s",
    "get_floatingip": READER_OR_OWNER,
    "update_floatingip": MEMBER_OR_OWNER,
    "delete_floatingip": MEMBER_OR_OWNER,
}
