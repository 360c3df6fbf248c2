"""Wire shapes of services and hypervisors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from kilonova.compute.web.fields import Boolean, HostName
from kilonova.core.web.wire import Body, View, versions

Reason = Annotated[str, Meta(min_length=1, max_length=255)]


class ServiceView(View, kw_only=True):
    number: Annotated[int, versions("2.1", "2.52", name="id")]
    uuid: Annotated[str, versions("2.53", name="id")]
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str | None
    disabled_reason: str | None
    forced_down: Annotated[bool, versions("2.11")]


class Services(View, kw_only=True):
    services: list[ServiceView]


class ServiceBody(View, kw_only=True):
    service: ServiceView


class OldServiceUpdate(Body, kw_only=True):
    """PUT /os-services/{enable, disable, disable-log-reason, force-down}, until 2.52."""

    host: HostName
    binary: Annotated[str, Meta(min_length=1, max_length=255)]
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Annotated[Boolean | UnsetType, versions("2.11")] = UNSET


class ServiceUpdate(Body, kw_only=True):
    status: Literal["enabled", "disabled"] | UnsetType = UNSET
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Boolean | UnsetType = UNSET


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
    uptime: str | UnsetType = UNSET
    servers: list[dict[str, str]] | UnsetType = UNSET


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
    no_uptime: Annotated[None, versions("2.88", name="uptime")] = None


class Hypervisors(View, kw_only=True):
    hypervisors: list[HypervisorBrief]
    hypervisors_links: Annotated[list[dict[str, str]] | UnsetType, versions("2.33")] = UNSET


class HypervisorDetails(View, kw_only=True):
    hypervisors: list[Hypervisor]
    hypervisors_links: Annotated[list[dict[str, str]] | UnsetType, versions("2.33")] = UNSET


class HypervisorBody(View, kw_only=True):
    hypervisor: Hypervisor


class HypervisorBriefBody(View, kw_only=True):
    hypervisor: HypervisorBrief
