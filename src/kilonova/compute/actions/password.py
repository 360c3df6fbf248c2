"""Set the administrator's password in a running guest, by its agent. The answer comes when it is done."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import NewPassword
from kilonova.compute.states import Vm
from kilonova.core.web.call import Reply


async def _set(api: Api, wanted: Wanted) -> Reply:
    await api.passwords.set(wanted.call.ctx, wanted.row, wanted.body.admin_pass)
    return Reply()


ACTIONS = (
    Action(
        name="changePassword", wire="changePassword", rule=f"{R}:os-admin-password", runs=Runs.API, handler=_set,
        body=NewPassword, example={"adminPass": "s3cret"}, vm_states=frozenset([Vm.ACTIVE]),
    ),
)  # fmt: skip
