"""Options of the scheduler."""

from __future__ import annotations

from typing import Annotated

import msgspec

from kilonova.core.config import derived, doc

DEFAULT_FILTERS = (
    "AvailabilityZoneFilter",
    "ComputeFilter",
    "RamFilter",
    "CoreFilter",
    "DiskFilter",
    "ServerGroupAntiAffinityFilter",
    "ServerGroupAffinityFilter",
    "SameHostFilter",
    "DifferentHostFilter",
    "ImagePropertiesFilter",
    "ComputeCapabilitiesFilter",
)
DEFAULT_WEIGHERS = (
    "RAMWeigher",
    "CPUWeigher",
    "DiskWeigher",
    "IoOpsWeigher",
    "NumInstancesWeigher",
    "ServerGroupSoftAffinityWeigher",
    "ServerGroupSoftAntiAffinityWeigher",
)


class SchedulerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What each filter and weigher does: docs/explanation/scheduling.md."""

    driver: Annotated[str, doc("How a host is chosen: filter, chance, simple or zone.")] = "filter"
    filters: Annotated[tuple[str, ...], doc("Filters, in the order in which they run.")] = DEFAULT_FILTERS
    weighers: Annotated[tuple[str, ...], doc("Weighers; one whose multiplier is 0 is left out.")] = DEFAULT_WEIGHERS
    max_attempts: Annotated[int, doc("Hosts tried for one server.", ge=1)] = 3
    host_subset_size: Annotated[int, doc("One of so many best hosts is drawn at random.", ge=1)] = 1
    shuffle_best_same_weighed_hosts: Annotated[bool, doc("Whether hosts of the same weight are shuffled.")] = False
    claims_at_once: Annotated[int, doc("Requests to placement that run at once.", ge=1)] = 8
    ram_weight_multiplier: Annotated[float, doc("Weight of free memory; negative: fullest host first.")] = 1.0
    cpu_weight_multiplier: Annotated[float, doc("Weight of free virtual CPUs.")] = 1.0
    disk_weight_multiplier: Annotated[float, doc("Weight of free disk.")] = 1.0
    io_ops_weight_multiplier: Annotated[float, doc("Weight of builds in progress; negative: idle host first.")] = -1.0
    num_instances_weight_multiplier: Annotated[float, doc("Weight of the number of servers.")] = 0.0
    soft_affinity_weight_multiplier: Annotated[float, doc("Weight of soft affinity.")] = 1.0
    soft_anti_affinity_weight_multiplier: Annotated[float, doc("Weight of soft anti-affinity.")] = 1.0
    zone_spread_weight_multiplier: Annotated[float, doc("Weight of spreading a request over zones.")] = 1.0
    max_instances_per_host: Annotated[int, doc("Servers of one host, for NumInstancesFilter.", ge=1)] = 50
    max_io_ops_per_host: Annotated[int, doc("Builds in progress on one host, for IoOpsFilter.", ge=1)] = 8
    isolated_hosts: Annotated[tuple[str, ...], doc("Hosts for isolated images, for IsolatedHostsFilter.")] = ()
    isolated_images: Annotated[tuple[str, ...], doc("Ids of images for these hosts.")] = ()
    restrict_isolated_hosts_to_isolated_images: Annotated[bool, doc("Whether these hosts take no other images.")] = True
    service_down_time: Annotated[float, derived("compute.service_down_time")] = 60.0
    default_availability_zone: Annotated[str, derived("compute.default_availability_zone")] = "nova"
