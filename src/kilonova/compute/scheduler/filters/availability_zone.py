"""The zone the user asked for."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class AvailabilityZoneFilter(Filter):
    name = "AvailabilityZoneFilter"

    def applies(self, request: FilterRequest) -> bool:
        return request.spec.availability_zone is not None

    def among(self, hosts: Sequence[HostState], request: FilterRequest) -> list[HostState]:
        wanted = request.spec.availability_zone
        return [host for host in hosts if wanted is None or host.availability_zone == wanted]

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        wanted = request.spec.availability_zone
        if wanted is None or host.availability_zone == wanted:
            return None
        return f"in zone {host.availability_zone}, {wanted} was asked for"
