"""Checks that the rules of several resources have in common."""

from __future__ import annotations

from kilonova.core.policy import MEMBER_OR_OWNER, READER_OR_OWNER

MEMBER, READER = MEMBER_OR_OWNER, READER_OR_OWNER
MANAGER = "(role:manager and rule:owner) or rule:admin_required"
INTO_OWN = "rule:owner and (rule:project_member or rule:admin_required)"  # what is made goes into the caller's project
