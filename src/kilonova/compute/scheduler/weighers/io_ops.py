"""Builds and other heavy work in progress; negative by default."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers.base import Weigher


class IoOpsWeigher(Weigher):
    name = "IoOpsWeigher"

    @property
    def multiplier(self) -> float:
        return self.options.io_ops_weight_multiplier

    def weigh(self, host: HostState, request: FilterRequest) -> float:
        return host.stats.io_ops

    def weights(self, hosts: Sequence[HostState], request: FilterRequest) -> list[float]:
        return [host.stats.io_ops for host in hosts]
