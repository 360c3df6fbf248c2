"""Memory, with the host's overcommit; one server alone never gets more than the host really has."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class RamFilter(Filter):
    name = "RamFilter"

    def among(self, hosts: Sequence[HostState], request: FilterRequest) -> list[HostState]:
        wanted = request.memory_mb
        return [host for host in hosts if wanted <= host.memory_mb_free and wanted <= host.memory_mb_total]

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        wanted = request.memory_mb
        if wanted <= host.memory_mb_free and wanted <= host.memory_mb_total:
            return None
        return f"{host.memory_mb_free} of {host.memory_mb_total} MiB free, {wanted} wanted"
