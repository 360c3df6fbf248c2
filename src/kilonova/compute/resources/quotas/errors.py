"""Refusals that concern quotas, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.compute.errors import OVER
from kilonova.core.errors import BadRequest, Forbidden


class OverQuota(Forbidden):
    template = "Quota exceeded for {overs}: Requested {requested}, but already used {used} of {limits} {overs}"


class ServerGroupMembersQuota(Forbidden):
    template = f"Quota exceeded, too many servers in group. {OVER}"


class QuotaTooLow(BadRequest):
    template = "Quota limit {limit} for {resource} must be greater than or equal to already used and reserved {used}."


class QuotaTooHigh(BadRequest):
    template = "Quota limit {limit} for {resource} must be less than or equal to {maximum}."
