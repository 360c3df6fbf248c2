"""Delete a server, by `DELETE /servers/ID` or by force: in this cloud the same, as nothing is kept of a deleted server."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.states import Task, Vm
from kilonova.core.web.call import Reply


async def _force(api: Api, wanted: Wanted) -> Reply:
    await api.actions.delete(wanted.call.ctx, wanted.row.uuid)
    return Reply()


ACTIONS = (
    Action(
        name="delete", wire="forceDelete", rule=f"{R}:os-deferred-delete:force", runs=Runs.REMOVAL, handler=_force,
        task_states=None, task=Task.DELETING, ends=Vm.DELETED,
    ),
)  # fmt: skip
