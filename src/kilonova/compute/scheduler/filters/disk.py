"""Local disk, with the host's overcommit; one server alone never gets more than the host really has."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class DiskFilter(Filter):
    name = "DiskFilter"

    def applies(self, request: FilterRequest) -> bool:
        return request.disk_gb > 0

    def among(self, hosts: Sequence[HostState], request: FilterRequest) -> list[HostState]:
        wanted = request.disk_gb
        if wanted <= 0:
            return list(hosts)
        return [host for host in hosts if wanted <= host.disk_gb_free and wanted <= host.disk_gb_total]

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        wanted = request.disk_gb
        if wanted <= 0 or (wanted <= host.disk_gb_free and wanted <= host.disk_gb_total):
            return None
        return f"{host.disk_gb_free} of {host.disk_gb_total} GiB free, {wanted} wanted"
