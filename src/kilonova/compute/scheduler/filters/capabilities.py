"""Extra specs `capabilities:NAME[:NAME…]`: conditions on the host's facts, with operators."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.host_values import host_value
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.core.operators import matches

SCOPE = "capabilities:"


class ComputeCapabilitiesFilter(Filter):
    name = "ComputeCapabilitiesFilter"

    def applies(self, request: FilterRequest) -> bool:
        return any(key.startswith(SCOPE) for key in request.extra_specs)

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        for key, wanted in request.extra_specs.items():
            if not key.startswith(SCOPE):
                continue
            value = host_value(host, key.removeprefix(SCOPE).split(":"))
            if not matches(value, wanted):
                return f"{key} is {str(value)[:60]}, wanted {wanted[:60]}"
        return None
