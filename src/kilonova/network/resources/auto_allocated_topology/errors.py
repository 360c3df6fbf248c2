"""Refusals of auto-allocated topologies. Class names are what clients see as the error's type: they are upstream's."""

from __future__ import annotations

from kilonova.core import errors


class AutoAllocationFailure(errors.Conflict):
    template = "Deployment error: {reason}."
