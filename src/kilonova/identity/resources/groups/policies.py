"""Policy rules of groups."""

from __future__ import annotations

from kilonova.identity.web.checks import ADMIN, READER, crud_rules

RULES = crud_rules("group", "groups") | {
    "identity:list_users_in_group": READER,
    "identity:check_user_in_group": READER,
    "identity:add_user_to_group": ADMIN,
    "identity:remove_user_from_group": ADMIN,
}
