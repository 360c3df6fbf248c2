"""Give a server another flavor, on the same or another host; its user confirms that, or wants it back as it was."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import Resize
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import COME_BACK, LEAVE, TAKE_OVER, WITHDRAW
from kilonova.core.web.call import Reply
from kilonova.core.web.wire import present


async def _resize(api: Api, wanted: Wanted) -> Reply:
    asked = wanted.body
    await api.moves.resize(
        wanted.call.ctx, wanted.row.uuid, str(asked.flavor).rstrip("/").split("/")[-1],
        disk_config=present(asked.disk_config, None),
    )  # fmt: skip
    return Reply()


async def _confirm(api: Api, wanted: Wanted) -> Reply:
    await api.moves.confirm(wanted.call.ctx, wanted.row.uuid)
    return Reply(status=204)


async def _revert(api: Api, wanted: Wanted) -> Reply:
    await api.moves.revert(wanted.call.ctx, wanted.row.uuid)
    return Reply()


ACTIONS = (
    Action(
        name="resize", wire="resize", rule=f"{R}:servers:resize", runs=Runs.MOVE, handler=_resize,
        body=Resize, example={"flavorRef": "2"}, vm_states=frozenset([Vm.ACTIVE, Vm.STOPPED]), task=Task.RESIZE_PREP,
        steps=(*LEAVE, *TAKE_OVER),
    ),
    Action(
        name="confirmResize", wire="confirmResize", rule=f"{R}:servers:confirm_resize", runs=Runs.API, handler=_confirm,
        vm_states=frozenset([Vm.RESIZED]),
    ),
    Action(
        name="revertResize", wire="revertResize", rule=f"{R}:servers:revert_resize", runs=Runs.MOVE, handler=_revert,
        vm_states=frozenset([Vm.RESIZED]), task=Task.RESIZE_REVERTING, steps=(*WITHDRAW, *COME_BACK),
    ),
)  # fmt: skip
