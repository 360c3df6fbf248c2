"""Refusals that concern usage, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import BadRequest


class InvalidPeriod(BadRequest):
    template = "Invalid start time. The start time cannot occur after the end time."
