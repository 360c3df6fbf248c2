"""Policy rules of roles, and of which implies which."""

from __future__ import annotations

from kilonova.identity.web.checks import ADMIN, READER, crud_rules

RULES = crud_rules("role", "roles") | {
    "identity:get_domain_role": READER,
    "identity:list_role_inference_rules": READER,
    "identity:list_implied_roles": READER,
    "identity:get_implied_role": READER,
    "identity:check_implied_role": READER,
    "identity:create_implied_role": ADMIN,
    "identity:delete_implied_role": ADMIN,
}
