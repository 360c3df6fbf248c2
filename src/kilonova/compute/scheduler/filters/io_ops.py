"""At most max_io_ops_per_host builds and other heavy work at once on a host."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.request import FilterRequest


class IoOpsFilter(Filter):
    name = "IoOpsFilter"

    def passes(self, host: HostState, request: FilterRequest) -> str | None:
        held, limit = host.stats.io_ops, self.options.max_io_ops_per_host
        return None if held < limit else f"{held} heavy operations, {limit} allowed"
