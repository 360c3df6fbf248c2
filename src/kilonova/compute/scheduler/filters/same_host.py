"""Hint same_host: a host of one of these servers."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class SameHostFilter(Filter):
    name = "SameHostFilter"

    def applies(self, request: FilterRequest) -> bool:
        return bool(request.hint("same_host"))

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        wanted = request.hint("same_host")
        if not wanted or any(request.server_hosts.get(uuid) == host.host for uuid in wanted):
            return None
        return "none of the servers in same_host is here"
