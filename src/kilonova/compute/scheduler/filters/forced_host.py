"""The host that an administrator forces a request to: it has to be known and up, and meets no other filter."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import DOWN, Filter
from kilonova.compute.scheduler.request import FilterRequest


class ForcedHost(Filter):
    name = "ForcedHost"

    def applies(self, request: FilterRequest) -> bool:
        return bool(request.spec.force_host or request.spec.force_node)

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        name, node = request.spec.force_host, request.spec.force_node
        if name not in (None, host.host) or node not in (None, host.node):
            return f"{name or node} was asked for"
        return None if host.up else DOWN
