"""Refusals that concern security groups, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest


class InvalidSecurityGroupId(BadRequest):
    template = "Invalid ID {id}: a UUID is needed"
