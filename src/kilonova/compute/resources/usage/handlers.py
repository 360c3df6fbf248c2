"""Usage reports over HTTP (os-simple-tenant-usage)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from kilonova.compute.resources.usage import schemas as shapes
from kilonova.compute.resources.usage.logic import Period, ServerUse, UsageLogic
from kilonova.compute.times import shown_bare
from kilonova.compute.web.links import Links, next_page
from kilonova.compute.web.query import at_least, moment
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.paging import Page, read_page

PATH = "/os-simple-tenant-usage"


class Usage:
    def __init__(self, logic: UsageLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        period, found, more = await self._read(call, PATH, None)
        detailed = call.query.get("detailed") == "1"
        reports = [_report(project, period, uses, detailed=detailed) for project, uses in found.items()]
        return Reply(shapes.ProjectUsages(tenant_usages=reports, tenant_usages_links=more))

    async def show(self, call: Call, project_id: str) -> Reply:
        call.authorize({"project_id": project_id})
        period, found, more = await self._read(call, f"{PATH}/{project_id}", project_id)
        uses = found.get(project_id)
        if not uses:
            return Reply(shapes.NoUsageBody(tenant_usage=shapes.NoUsage()))
        report = _report(project_id, period, uses, detailed=True)
        return Reply(shapes.ProjectUsageBody(tenant_usage=report, tenant_usage_links=more))

    async def _read(
        self, call: Call, path: str, project_id: str | None
    ) -> tuple[Period, dict[str, Sequence[ServerUse]], Links]:
        """(the period, each project's servers, the links to the next page)."""
        page = read_page(call) if at_least(call, "2.40") else None
        period, found = await self.logic.of(
            moment(call, "start"), moment(call, "end"), project_id=project_id,
            limit=page.limit if page else None, marker=page.marker if page else None,
        )  # fmt: skip
        return period, found, _links(call, path, page, [use.row.uuid for uses in found.values() for use in uses])


def _links(call: Call, path: str, page: Page | None, ids: list[str]) -> Links:
    if page is None or not ids:
        return UNSET
    return next_page(call, path, page, ids, max(ids))


def _report(project_id: str, period: Period, uses: Sequence[ServerUse], *, detailed: bool) -> shapes.ProjectUsage:
    return shapes.ProjectUsage(
        tenant_id=project_id,
        start=shown_bare(period.start) or "",
        stop=shown_bare(period.end) or "",
        total_hours=sum(use.hours for use in uses),
        total_vcpus_usage=sum(use.hours * use.row.vcpus for use in uses),
        total_memory_mb_usage=sum(use.hours * use.row.memory_mb for use in uses),
        total_local_gb_usage=sum(use.hours * use.disk_gb for use in uses),
        server_usages=[_server(use) for use in uses] if detailed else UNSET,
    )


def _server(use: ServerUse) -> shapes.ServerUsage:
    row = use.row
    return shapes.ServerUsage(
        instance_id=row.uuid,
        name=row.name,
        tenant_id=row.project_id,
        flavor=row.flavor["name"],
        state="terminated" if row.terminated_at else row.vm_state,
        hours=use.hours,
        uptime=use.uptime,
        vcpus=row.vcpus,
        memory_mb=row.memory_mb,
        local_gb=use.disk_gb,
        started_at=shown_bare(row.launched_at) or "",
        ended_at=shown_bare(row.terminated_at),
    )
