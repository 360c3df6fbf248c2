"""Virtual CPUs, with the host's overcommit; one server alone never gets more than the host really has."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class CoreFilter(Filter):
    name = "CoreFilter"

    def among(self, hosts: Sequence[HostState], request: FilterRequest) -> list[HostState]:
        wanted = request.vcpus
        return [host for host in hosts if wanted <= host.vcpus_free and wanted <= host.vcpus_total]

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        wanted = request.vcpus
        if wanted <= host.vcpus_free and wanted <= host.vcpus_total:
            return None
        return f"{host.vcpus_free} vcpus free on {host.vcpus_total} cores, {wanted} wanted"
