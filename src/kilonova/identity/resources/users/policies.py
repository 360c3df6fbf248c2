"""Policy rules of users."""

from __future__ import annotations

from kilonova.identity.web.checks import SELF_READ, crud_rules

RULES = crud_rules("user", "users", read=SELF_READ) | {
    "identity:list_user_projects": SELF_READ,
    "identity:list_groups_for_user": SELF_READ,
    "identity:list_access_rules": SELF_READ,
}
