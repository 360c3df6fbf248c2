"""Policy rules of RBAC policies, with upstream's names."""

from __future__ import annotations

from kilonova.core.policy import ADMIN, MEMBER_OR_OWNER, READER_OR_OWNER

NOT_ALL = f"{ADMIN} or not rule:wildcard"

RULES: dict[str, str] = {
    "wildcard": "True:%(wildcard)s",
    "create_rbac_policy": MEMBER_OR_OWNER,
    "create_rbac_policy:target_project": NOT_ALL,
    "create_rbac_policy:target_tenant": NOT_ALL,
    "get_rbac_policy": READER_OR_OWNER,
    "update_rbac_policy": MEMBER_OR_OWNER,
    "update_rbac_policy:target_project": NOT_ALL,
    "update_rbac_policy:target_tenant": NOT_ALL,
    "delete_rbac_policy": MEMBER_OR_OWNER,
}
