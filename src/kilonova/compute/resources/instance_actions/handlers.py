"""Actions with their events, and scheduling decisions, over HTTP."""

from __future__ import annotations

from kilonova.compute.models import StepRecord
from kilonova.compute.resources.instance_actions import schemas as shapes
from kilonova.compute.resources.instance_actions.logic import HistoryLogic
from kilonova.compute.resources.instance_actions.policies import RULE
from kilonova.compute.resources.servers.views import host_id
from kilonova.compute.store.actions import ActionRow
from kilonova.compute.times import shown_bare
from kilonova.compute.web.links import next_page
from kilonova.compute.web.query import at_least, moment
from kilonova.core.web.call import Call, InvalidInput, Reply
from kilonova.core.web.paging import Page, read_page


class History:
    def __init__(self, logic: HistoryLogic) -> None:
        self.logic = logic

    async def actions(self, call: Call, server_id: str) -> Reply:
        paged = at_least(call, "2.58")
        page = read_page(call) if paged else Page(1000, None, None)
        since = moment(call, "changes-since") if paged else None
        before = moment(call, "changes-before") if at_least(call, "2.66") else None
        if since is not None and before is not None and before < since:
            raise InvalidInput(reason="The value of changes-since must be less than or equal to changes-before.")
        rows = await self.logic.actions(
            call.ctx, server_id, deleted=at_least(call, "2.21"), limit=page.limit, marker=page.marker, since=since,
            before=before,
        )  # fmt: skip
        path = f"/servers/{server_id}/os-instance-actions"
        more = next_page(call, path, page, rows, rows[-1].request_id if rows else None)
        return Reply(shapes.Actions(items=[_action(row) for row in rows], links=more))

    async def action(self, call: Call, server_id: str, request_id: str) -> Reply:
        server, row, steps = await self.logic.action(call.ctx, server_id, request_id, deleted=at_least(call, "2.21"))
        target = {"project_id": server.project_id}
        full = call.allowed(f"{RULE}:events", target)
        details = call.allowed(f"{RULE}:events:details", target)
        view = _action(row)
        if full or at_least(call, "2.51"):
            view.events = [_event(step, server.project_id, full=full, details=details) for step in steps]
        return Reply(shapes.ActionBody(item=view))

    async def decisions(self, call: Call, server_id: str) -> Reply:
        found = await self.logic.decisions(call.ctx, server_id)
        items = [
            shapes.DecisionView(request_id=row.request_id, created_at=shown_bare(row.created_at), decision=decision)
            for row, decision in found
        ]
        return Reply(shapes.Decisions(decisions=items))


def _action(row: ActionRow) -> shapes.Action:
    return shapes.Action(
        action=row.action, instance_uuid=row.server_uuid, request_id=row.request_id, user_id=row.user_id,
        project_id=row.project_id, start_time=shown_bare(row.started_at) or "", message=row.message,
        updated_at=shown_bare(row.finished_at or row.started_at),
    )  # fmt: skip


def _event(step: StepRecord, project_id: str, *, full: bool, details: bool) -> shapes.Event:
    view = shapes.Event(
        event=f"{step.component}_{step.step}", start_time=shown_bare(step.started_at) or "",
        finish_time=shown_bare(step.finished_at), result=step.result, host_id=host_id(project_id, step.host),
    )  # fmt: skip
    if full:
        view.traceback, view.host = None, step.host
    if details:
        view.details = step.detail
    return view
