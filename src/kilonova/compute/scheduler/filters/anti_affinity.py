"""Members of a server group with policy anti-affinity keep apart, at most rules.max_server_per_host on one host."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class ServerGroupAntiAffinityFilter(Filter):
    name = "ServerGroupAntiAffinityFilter"

    def applies(self, request: FilterRequest) -> bool:
        return request.group is not None and request.group.policy == "anti-affinity"

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        group = request.group
        return group.refuses(host.host) if group is not None and group.policy == "anti-affinity" else None
