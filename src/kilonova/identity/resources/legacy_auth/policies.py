"""Policy rules of the logins before v3."""

from __future__ import annotations

from kilonova.identity.web.checks import READER

RULES = {"identity:validate_token_v2": f"{READER} or rule:service_role"}  # not upstream's
