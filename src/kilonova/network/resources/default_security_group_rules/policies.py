"""Policy rules of default security group rules, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN

RULES: dict[str, str] = {
    "create_default_security_group_rule": ADMIN,
    "get_default_security_group_rule": "role:reader",
    "delete_default_security_group_rule": ADMIN,
}
