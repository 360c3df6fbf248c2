"""An operator says what state a server is in; nothing is done on its host."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import ResetState
from kilonova.compute.states import Vm
from kilonova.core.web.call import Reply


async def _reset(api: Api, wanted: Wanted) -> Reply:
    await api.actions.reset_state(wanted.call.ctx, wanted.row.uuid, Vm(wanted.body.state))
    return Reply()


ACTIONS = (
    Action(
        name="os-resetState", wire="os-resetState", rule=f"{R}:os-admin-actions:reset_state", runs=Runs.API, handler=_reset,
        body=ResetState, example={"state": "active"}, task_states=None,
    ),
)  # fmt: skip
