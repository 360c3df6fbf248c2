"""Members of a soft-anti-affinity group keep apart where they can."""

from __future__ import annotations

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers.base import Weigher


class ServerGroupSoftAntiAffinityWeigher(Weigher):
    name = "ServerGroupSoftAntiAffinityWeigher"

    @property
    def multiplier(self) -> float:
        return self.options.soft_anti_affinity_weight_multiplier

    def applies(self, request: FilterRequest) -> bool:
        return request.group is not None and request.group.policy == "soft-anti-affinity"

    def weigh(self, host: HostState, request: FilterRequest) -> float:
        return -request.group.hosts.get(host.host, 0) if request.group is not None else 0
