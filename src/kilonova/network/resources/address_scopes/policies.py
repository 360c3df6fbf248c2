"""Policy rules of address scopes, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_address_scope": MEMBER_OR_OWNER,
    "create_address_scope:shared": ADMIN,
    "get_address_scope": f"{READER_OR_OWNER} or rule:shared",
    "update_address_scope": MEMBER_OR_OWNER,
    "update_address_scope:shared": ADMIN,
    "delete_address_scope": MEMBER_OR_OWNER,
}
