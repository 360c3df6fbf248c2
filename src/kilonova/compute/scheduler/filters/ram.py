"""Memory, with the host's overcommit; one server alone never gets more than the host really has."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class RamFilter(Filter):
    name = "RamFilter"

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        wanted = request.memory_mb
        if wanted <= host.memory_mb_free and wanted <= host.memory_mb_total:
            return None
        return f"{host.memory_mb_free} of {host.memory_mb_total} MiB free, {wanted} wanted"
