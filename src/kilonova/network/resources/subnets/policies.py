"""Policy rules of subnets, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER
from kilonova.network.resources.base.policies import NET_MEMBER, NET_READER, SEEN, SERVICE

RULES: dict[str, str] = {
    "create_subnet": f"{ADMIN} or {NET_MEMBER}",
    "get_subnet": f"{READER_OR_OWNER} or {NET_READER} or {SERVICE} or {SEEN}",
    "update_subnet": f"{MEMBER_OR_OWNER} or {NET_MEMBER}",
    "delete_subnet": f"{MEMBER_OR_OWNER} or {NET_MEMBER}",
}
