"""Members of a server group with policy affinity stay on one host."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class ServerGroupAffinityFilter(Filter):
    name = "ServerGroupAffinityFilter"

    def applies(self, request: FilterRequest) -> bool:
        return request.group is not None and request.group.policy == "affinity"

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        group = request.group
        return group.refuses(host.host) if group is not None and group.policy == "affinity" else None
