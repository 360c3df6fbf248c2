"""Refusals that concern server groups, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.compute.errors import OVER
from kilonova.core.errors import Forbidden, NotFound


class ServerGroupNotFound(NotFound):
    template = "Instance group {group_id} could not be found."


class ServerGroupQuota(Forbidden):
    template = f"Quota exceeded, too many server groups. {OVER}"
