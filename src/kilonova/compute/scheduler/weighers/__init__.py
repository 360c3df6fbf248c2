"""Weighers by upstream's names."""

from __future__ import annotations

from kilonova.compute.scheduler.weighers.base import PlacedWeigher, Weigher
from kilonova.compute.scheduler.weighers.cpu import CPUWeigher
from kilonova.compute.scheduler.weighers.disk import DiskWeigher
from kilonova.compute.scheduler.weighers.io_ops import IoOpsWeigher
from kilonova.compute.scheduler.weighers.num_instances import NumInstancesWeigher
from kilonova.compute.scheduler.weighers.ram import RAMWeigher
from kilonova.compute.scheduler.weighers.soft_affinity import ServerGroupSoftAffinityWeigher
from kilonova.compute.scheduler.weighers.soft_anti_affinity import ServerGroupSoftAntiAffinityWeigher
from kilonova.compute.scheduler.weighers.zone_spread import ZoneSpreadWeigher

__all__ = ["BUILT_IN", "PlacedWeigher", "Weigher"]

BUILT_IN: dict[str, type[Weigher]] = {
    kind.name: kind
    for kind in (
        RAMWeigher,
        CPUWeigher,
        DiskWeigher,
        IoOpsWeigher,
        NumInstancesWeigher,
        ServerGroupSoftAffinityWeigher,
        ServerGroupSoftAntiAffinityWeigher,
        ZoneSpreadWeigher,
    )
}
