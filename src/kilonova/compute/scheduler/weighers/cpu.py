"""Free vcpus."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers.base import Weigher


class CPUWeigher(Weigher):
    name = "CPUWeigher"

    @property
    def multiplier(self) -> float:
        return self.options.cpu_weight_multiplier

    def weigh(self, host: HostState, request: FilterRequest) -> float:
        return host.vcpus_free

    def weights(self, hosts: Sequence[HostState], request: FilterRequest) -> list[float]:
        return [host.vcpus_free for host in hosts]
