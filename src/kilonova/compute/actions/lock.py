"""Lock a server against all users but administrators and the one that locked it, and unlock it."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import Lock
from kilonova.core.web.call import Reply
from kilonova.core.web.wire import Version

REASONS = Version(2, 73)


async def _lock(api: Api, wanted: Wanted) -> Reply:
    call, row = wanted.call, wanted.row
    reason = wanted.body.locked_reason if isinstance(wanted.body, Lock) else None
    await api.actions.lock(call.ctx, row.uuid, reason, as_owner=row.project_id == call.ctx.project_id)
    return Reply()


async def _unlock(api: Api, wanted: Wanted) -> Reply:
    if wanted.row.locked_by == "admin":
        target = {"project_id": wanted.row.project_id}
        wanted.call.authorize(target, f"{R}:os-lock-server:unlock:unlock_override")
    await api.actions.unlock(wanted.call.ctx, wanted.row.uuid)
    return Reply()


ACTIONS = (
    Action(
        name="lock", wire="lock", rule=f"{R}:os-lock-server:lock", runs=Runs.API, handler=_lock,
        body=Lock, body_since=REASONS, optional_body=True, example={"locked_reason": "do not touch"}, task_states=None,
    ),
    Action(
        name="unlock", wire="unlock", rule=f"{R}:os-lock-server:unlock", runs=Runs.API, handler=_unlock, task_states=None
    ),
)  # fmt: skip
