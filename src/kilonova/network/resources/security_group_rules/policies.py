"""Policy rules of security group rules, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_security_group_rule": MEMBER_OR_OWNER,
    "get_security_group_rule": READER_OR_OWNER,
    "delete_security_group_rule": MEMBER_OR_OWNER,
}
