"""Policy rules of key pairs, which belong to users."""

from __future__ import annotations

from kilonova.compute.resources.base import R

RULE = f"{R}:os-keypairs"
OWN = "(role:admin) or user_id:%(user_id)s"
RULES = {f"{RULE}:{verb}": OWN for verb in ("index", "create", "delete", "show")}
