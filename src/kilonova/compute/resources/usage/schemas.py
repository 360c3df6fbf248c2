"""Wire shapes of usage reports. Times are `2026-01-31T12:00:00.000000`, without a zone."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, UnsetType

from kilonova.compute.web.fields import Link
from kilonova.core.web.wire import View, versions


class ServerUsage(View):
    instance_id: str
    name: str
    tenant_id: str
    flavor: str
    state: str
    hours: float
    uptime: int
    vcpus: int
    memory_mb: int
    local_gb: int
    started_at: str
    ended_at: str | None


class ProjectUsage(View):
    """The totals are hours times the amount."""

    tenant_id: str
    start: str
    stop: str
    total_hours: float
    total_vcpus_usage: float
    total_memory_mb_usage: float
    total_local_gb_usage: float
    server_usages: list[ServerUsage] | UnsetType = UNSET


class ProjectUsageBody(View):
    tenant_usage: ProjectUsage
    tenant_usage_links: Annotated[list[Link] | UnsetType, versions("2.40")] = UNSET


class NoUsage(View):
    """Nothing."""


class NoUsageBody(View):
    """The answer for a project without servers."""

    tenant_usage: NoUsage


class ProjectUsages(View):
    tenant_usages: list[ProjectUsage]
    tenant_usages_links: Annotated[list[Link] | UnsetType, versions("2.40")] = UNSET
