"""Policy rules of application credentials."""

from __future__ import annotations

from kilonova.identity.web.checks import SELF, SELF_READ

RULES = {
    "identity:list_application_credentials": SELF_READ,
    "identity:get_application_credential": SELF_READ,
    "identity:create_application_credential": "user_id:%(target.user.id)s",
    "identity:delete_application_credential": SELF,
}
