"""Policy rules of security groups, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_security_group": MEMBER_OR_OWNER,
    "get_security_group": f"{READER_OR_OWNER} or rule:shared",
    "update_security_group": MEMBER_OR_OWNER,
    "delete_security_group": MEMBER_OR_OWNER,
}
