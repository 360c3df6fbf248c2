"""Refusals that concern hypervisors, with upstream's wording and codes."""

from __future__ import annotations

from kilonova.core.errors import NotFound


class HypervisorNotFound(NotFound):
    template = "Hypervisor with ID '{hypervisor_id}' could not be found."


class NoHypervisorMatches(NotFound):
    template = "No hypervisor matching '{pattern}' could be found."
