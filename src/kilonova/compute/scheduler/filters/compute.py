"""Hosts whose compute service is up and enabled."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import DOWN, Filter
from kilonova.compute.scheduler.request import FilterRequest


class ComputeFilter(Filter):
    name = "ComputeFilter"

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        if not host.enabled:
            return "service is disabled"
        return None if host.up else DOWN
