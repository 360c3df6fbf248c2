"""Checks that the policy rules of several resources share, in the syntax of oslo.policy. Targets hold the path's ids (`user_id`,
`target.user.id` …) or, where the rule is about an object, what the handler read of it."""

from __future__ import annotations

ADMIN = "rule:admin_required"
READER = f"{ADMIN} or rule:system_reader"
SELF = f"{ADMIN} or user_id:%(target.user.id)s"
SELF_READ = f"{READER} or user_id:%(target.user.id)s"
BASE_RULES = {
    "admin_required": "role:admin or is_admin:1",
    "owner": "user_id:%(user_id)s",
    "admin_or_owner": "rule:admin_required or rule:owner",
    "service_role": "role:service",
    "service_or_admin": "rule:admin_required or rule:service_role",
    "system_reader": "role:reader and system_scope:all",
}


def crud_rules(noun: str, plural: str, *, read: str = READER, listing: str = READER) -> dict[str, str]:
    """The rules of a resource that admins alone change."""
    return {
        f"identity:list_{plural}": listing,
        f"identity:get_{noun}": read,
        f"identity:create_{noun}": ADMIN,
        f"identity:update_{noun}": ADMIN,
        f"identity:delete_{noun}": ADMIN,
    }
