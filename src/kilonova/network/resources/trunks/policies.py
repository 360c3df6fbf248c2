"""Policy rules of trunks, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_trunk": MEMBER_OR_OWNER,
    "get_trunk": READER_OR_OWNER,
    "update_trunk": MEMBER_OR_OWNER,
    "delete_trunk": MEMBER_OR_OWNER,
    "get_subports": READER_OR_OWNER,
    "add_subports": MEMBER_OR_OWNER,
    "remove_subports": MEMBER_OR_OWNER,
}
