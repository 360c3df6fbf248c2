"""Facts of a host by the names that extra specs (`capabilities:…`) and JSON queries (`$…`) use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from kilonova.compute.models import HostState

NAMES: dict[str, Callable[[HostState], Any]] = {
    "host": lambda h: h.host,
    "hypervisor_hostname": lambda h: h.node,
    "nodename": lambda h: h.node,
    "host_ip": lambda h: h.host_ip,
    "hypervisor_type": lambda h: h.hypervisor_type,
    "hypervisor_version": lambda h: h.hypervisor_version,
    "availability_zone": lambda h: h.availability_zone,
    "vcpus_total": lambda h: h.vcpus_total,
    "vcpus_used": lambda h: h.vcpus_used,
    "vcpus_free": lambda h: h.vcpus_free,
    "total_usable_ram_mb": lambda h: h.memory_mb_total,
    "free_ram_mb": lambda h: h.memory_mb_free,
    "total_usable_disk_gb": lambda h: h.disk_gb_total,
    "free_disk_mb": lambda h: h.disk_gb_free * 1024,
    "disk_mb_used": lambda h: h.disk_gb_used * 1024,
    "num_instances": lambda h: h.stats.running_vms,
    "num_io_ops": lambda h: h.stats.io_ops,
    "cpu_info": lambda h: {"arch": h.facts.cpu_arch, **h.facts.cpu_info},
    "cpu_arch": lambda h: h.facts.cpu_arch,
    "virt_driver": lambda h: h.facts.virt_driver,
    "stats": lambda h: msgspec.structs.asdict(h.stats),
}


def host_value(host: HostState, path: Sequence[str]) -> Any:
    """The value at a path such as ["cpu_info", "vendor"]; None when the host has none."""
    read = NAMES.get(path[0]) if path else None
    value = read(host) if read is not None else None
    for name in path[1:]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
