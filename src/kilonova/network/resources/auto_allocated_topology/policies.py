"""Policy rules of auto-allocated topologies, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "get_auto_allocated_topology": READER_OR_OWNER,
    "delete_auto_allocated_topology": MEMBER_OR_OWNER,
}
