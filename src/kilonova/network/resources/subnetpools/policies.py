"""Policy rules of subnet pools, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER

RULES: dict[str, str] = {
    "create_subnetpool": MEMBER_OR_OWNER,
    "create_subnetpool:shared": ADMIN,
    "create_subnetpool:is_default": ADMIN,
    "get_subnetpool": f"{READER_OR_OWNER} or rule:shared",
    "update_subnetpool": MEMBER_OR_OWNER,
    "update_subnetpool:is_default": ADMIN,
    "delete_subnetpool": MEMBER_OR_OWNER,
    "onboard_network_subnets": MEMBER_OR_OWNER,
    "add_prefixes": MEMBER_OR_OWNER,
    "remove_prefixes": MEMBER_OR_OWNER,
}
