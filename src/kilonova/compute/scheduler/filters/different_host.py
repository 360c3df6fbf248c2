"""Hint different_host: no host of any of these servers."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class DifferentHostFilter(Filter):
    name = "DifferentHostFilter"

    def applies(self, request: FilterRequest) -> bool:
        return bool(request.hint("different_host"))

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        for uuid in request.hint("different_host"):
            if request.server_hosts.get(uuid) == host.host:
                return f"server {uuid} of different_host is here"
        return None
