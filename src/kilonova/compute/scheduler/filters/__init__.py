"""Filters by upstream's names, in cost order. How to add one: docs/explanation/scheduling.md."""

from __future__ import annotations

from kilonova.compute.scheduler.filters.affinity import ServerGroupAffinityFilter
from kilonova.compute.scheduler.filters.aggregate_extra_specs import AggregateInstanceExtraSpecsFilter
from kilonova.compute.scheduler.filters.anti_affinity import ServerGroupAntiAffinityFilter
from kilonova.compute.scheduler.filters.availability_zone import AvailabilityZoneFilter
from kilonova.compute.scheduler.filters.base import Filter
from kilonova.compute.scheduler.filters.capabilities import ComputeCapabilitiesFilter
from kilonova.compute.scheduler.filters.cidr_affinity import SimpleCIDRAffinityFilter
from kilonova.compute.scheduler.filters.compute import ComputeFilter
from kilonova.compute.scheduler.filters.core import CoreFilter
from kilonova.compute.scheduler.filters.different_host import DifferentHostFilter
from kilonova.compute.scheduler.filters.disk import DiskFilter
from kilonova.compute.scheduler.filters.forced_host import ForcedHost
from kilonova.compute.scheduler.filters.image_properties import ImagePropertiesFilter
from kilonova.compute.scheduler.filters.io_ops import IoOpsFilter
from kilonova.compute.scheduler.filters.isolated_hosts import IsolatedHostsFilter
from kilonova.compute.scheduler.filters.json_filter import JsonFilter
from kilonova.compute.scheduler.filters.named_hosts import NamedHosts
from kilonova.compute.scheduler.filters.num_instances import NumInstancesFilter
from kilonova.compute.scheduler.filters.ram import RamFilter
from kilonova.compute.scheduler.filters.same_host import SameHostFilter

__all__ = ["BUILT_IN", "Filter", "ForcedHost", "NamedHosts"]

BUILT_IN: dict[str, type[Filter]] = {
    kind.name: kind
    for kind in (
        AvailabilityZoneFilter,
        ComputeFilter,
        RamFilter,
        CoreFilter,
        DiskFilter,
        NumInstancesFilter,
        IoOpsFilter,
        ServerGroupAntiAffinityFilter,
        ServerGroupAffinityFilter,
        SameHostFilter,
        DifferentHostFilter,
        IsolatedHostsFilter,
        SimpleCIDRAffinityFilter,
        ImagePropertiesFilter,
        ComputeCapabilitiesFilter,
        AggregateInstanceExtraSpecsFilter,
        JsonFilter,
    )
}
