"""Policy rules of tokens."""

from __future__ import annotations

from kilonova.core.policy import ANYONE
from kilonova.identity.web.checks import ADMIN, READER

SUBJECT = "user_id:%(target.token.user_id)s"

OF_A_TOKEN = {
    "identity:validate_token": f"{READER} or rule:service_role or {SUBJECT}",
    "identity:check_token": f"{READER} or {SUBJECT}",
    "identity:revoke_token": f"{ADMIN} or {SUBJECT}",
}
RULES = OF_A_TOKEN | {
    "token_subject": SUBJECT,
    "identity:get_auth_catalog": ANYONE,
    "identity:get_auth_projects": ANYONE,
    "identity:get_auth_domains": ANYONE,
    "identity:get_auth_system": ANYONE,
}
OBJECT_RULES = frozenset(OF_A_TOKEN)
