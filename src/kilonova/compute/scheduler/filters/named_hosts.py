"""The hosts a request names: one it asks for, some it must not go to. Always on, before all others."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class NamedHosts(Filter):
    name = "NamedHosts"

    def applies(self, request: FilterRequest) -> bool:
        return bool(request.spec.ignore_hosts or request.spec.requested_host or request.spec.failed_hosts)

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        spec = request.spec
        if host.host in spec.failed_hosts:
            return "an earlier attempt failed here"
        if host.host in spec.ignore_hosts:
            return "to be ignored"
        if spec.requested_host and spec.requested_host not in (host.host, host.node):
            return f"{spec.requested_host} was asked for"
        return None
