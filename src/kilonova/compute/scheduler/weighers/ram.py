"""Free memory."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers.base import Weigher


class RAMWeigher(Weigher):
    name = "RAMWeigher"

    @property
    def multiplier(self) -> float:
        return self.options.ram_weight_multiplier

    def weigh(self, host: HostState, request: FilterRequest) -> float:
        return host.memory_mb_free
