"""Hosts whose compute service is up and enabled."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import DOWN, Filter
from kilonova.compute.scheduler.request import FilterRequest


class ComputeFilter(Filter):
    name = "ComputeFilter"

    def among(self, hosts: Sequence[HostState], request: FilterRequest) -> list[HostState]:
        return [host for host in hosts if host.enabled and host.up]

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        if not host.enabled:
            return "service is disabled"
        return None if host.up else DOWN
