"""Hints build_near_host_ip and cidr (default /24): hosts whose address is in that network."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.core.addresses import parse_address, parse_network


class SimpleCIDRAffinityFilter(Filter):
    name = "SimpleCIDRAffinityFilter"

    def applies(self, request: FilterRequest) -> bool:
        return bool(request.hint("build_near_host_ip"))

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        near = request.hint("build_near_host_ip")
        if not near:
            return None
        prefix = (request.hint("cidr") or ["/24"])[0].lstrip("/")
        try:
            network = parse_network(f"{near[0]}/{prefix}")
        except ValueError:
            return "build_near_host_ip and cidr are not a network"
        try:
            return None if parse_address(host.host_ip or "") in network else f"{host.host_ip} is not in {network}"
        except ValueError:
            return "the host's address is not known"
