"""Wire shapes of hypervisors."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, UnsetType

from kilonova.compute.web.fields import Link
from kilonova.core.web.wire import View, versions


class ServerBrief(View, kw_only=True):
    uuid: str
    name: str


class HypervisorService(View, kw_only=True):
    number: Annotated[int, versions("2.1", "2.52", name="id")]
    uuid: Annotated[str, versions("2.53", name="id")]
    host: str
    disabled_reason: str | None


class HypervisorBrief(View, kw_only=True):
    number: Annotated[int, versions("2.1", "2.52", name="id")]
    uuid: Annotated[str, versions("2.53", name="id")]
    hypervisor_hostname: str
    state: str
    status: str
    servers: list[ServerBrief] | UnsetType = UNSET


class Hypervisor(HypervisorBrief, kw_only=True):
    hypervisor_type: str
    hypervisor_version: int
    host_ip: str | None
    service: HypervisorService
    vcpus: Annotated[int, versions("2.1", "2.87")]
    memory_mb: Annotated[int, versions("2.1", "2.87")]
    local_gb: Annotated[int, versions("2.1", "2.87")]
    vcpus_used: Annotated[int, versions("2.1", "2.87")]
    memory_mb_used: Annotated[int, versions("2.1", "2.87")]
    local_gb_used: Annotated[int, versions("2.1", "2.87")]
    free_ram_mb: Annotated[int, versions("2.1", "2.87")]
    free_disk_gb: Annotated[int, versions("2.1", "2.87")]
    current_workload: Annotated[int, versions("2.1", "2.87")]
    running_vms: Annotated[int, versions("2.1", "2.87")]
    disk_available_least: Annotated[int, versions("2.1", "2.87")]
    cpu_text: Annotated[str, versions("2.1", "2.27", name="cpu_info")]
    cpu_info: Annotated[dict[str, Any], versions("2.28", "2.87")]
    uptime: Annotated[None, versions("2.88")] = None


class Hypervisors(View, kw_only=True):
    hypervisors: list[HypervisorBrief]
    hypervisors_links: Annotated[list[Link] | UnsetType, versions("2.33")] = UNSET


class HypervisorDetails(View, kw_only=True):
    hypervisors: list[Hypervisor]
    hypervisors_links: Annotated[list[Link] | UnsetType, versions("2.33")] = UNSET


class HypervisorBody(View, kw_only=True):
    hypervisor: Hypervisor


class Statistics(View, kw_only=True):
    count: int = 0
    vcpus: int | UnsetType = UNSET
    memory_mb: int | UnsetType = UNSET
    local_gb: int | UnsetType = UNSET
    vcpus_used: int | UnsetType = UNSET
    memory_mb_used: int | UnsetType = UNSET
    local_gb_used: int | UnsetType = UNSET
    free_ram_mb: int | UnsetType = UNSET
    free_disk_gb: int | UnsetType = UNSET
    current_workload: int | UnsetType = UNSET
    running_vms: int | UnsetType = UNSET
    disk_available_least: int | UnsetType = UNSET


class StatisticsBody(View, kw_only=True):
    """The sums over all hypervisors; the count alone where there is none."""

    hypervisor_statistics: Statistics
