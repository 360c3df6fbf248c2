"""Options of the scheduler."""

from __future__ import annotations

import msgspec

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
    """`driver` is filter, chance, simple or zone (see docs/scheduling.md); `filters` run in this order. A weigher whose
    multiplier is 0 is left out. `service_down_time` in seconds; `max_attempts` counts hosts tried for one server, so
    alternates + 1."""

    driver: str = "filter"
    filters: tuple[str, ...] = DEFAULT_FILTERS
    weighers: tuple[str, ...] = DEFAULT_WEIGHERS
    max_attempts: int = 3
    host_subset_size: int = 1
    shuffle_best_same_weighed_hosts: bool = False
    service_down_time: float = 60.0
    default_availability_zone: str = "nova"
    claims_at_once: int = 8
    ram_weight_multiplier: float = 1.0
    cpu_weight_multiplier: float = 1.0
    disk_weight_multiplier: float = 1.0
    io_ops_weight_multiplier: float = -1.0
    num_instances_weight_multiplier: float = 0.0
    soft_affinity_weight_multiplier: float = 1.0
    soft_anti_affinity_weight_multiplier: float = 1.0
    zone_spread_weight_multiplier: float = 1.0
    max_instances_per_host: int = 50
    max_io_ops_per_host: int = 8
    isolated_hosts: tuple[str, ...] = ()
    isolated_images: tuple[str, ...] = ()
    restrict_isolated_hosts_to_isolated_images: bool = True
