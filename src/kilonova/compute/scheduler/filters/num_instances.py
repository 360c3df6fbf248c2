"""At most max_instances_per_host servers on a host."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class NumInstancesFilter(Filter):
    name = "NumInstancesFilter"

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        held, limit = host.stats.running_vms, self.options.max_instances_per_host
        return None if held < limit else f"{held} servers, {limit} allowed"
