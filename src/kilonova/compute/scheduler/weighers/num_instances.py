"""Servers on the host; off by default."""

from __future__ import annotations

from collections.abc import Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers.base import Weigher


class NumInstancesWeigher(Weigher):
    name = "NumInstancesWeigher"

    @property
    def multiplier(self) -> float:
        return self.options.num_instances_weight_multiplier

    def weigh(self, host: HostState, request: FilterRequest) -> float:
        return host.stats.running_vms

    def weights(self, hosts: Sequence[HostState], request: FilterRequest) -> list[float]:
        return [host.stats.running_vms for host in hosts]
