"""Policy rules of address groups, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_address_group": MEMBER_OR_OWNER,
    "get_address_group": f"{READER_OR_OWNER} or rule:shared",
    "update_address_group": MEMBER_OR_OWNER,
    "delete_address_group": MEMBER_OR_OWNER,
}
