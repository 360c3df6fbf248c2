"""Refusals that concern flavors, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import Conflict, NotFound


class FlavorNotFound(NotFound):
    template = "Flavor {flavor_id} could not be found."


class FlavorExists(Conflict):
    template = "Flavor with {field} {value} already exists."
