"""Make a server's disks anew, from the same image or another one, on the host that it is on. A server that is off stays off."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import Rebuild
from kilonova.compute.resources.servers.view_schemas import RebuiltBody
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import BUILD_OFF, DESTROY, POWER_UP, REFRESH, STAY_OFF, UNPLUG, WIPE
from kilonova.core.web.call import Reply


async def _rebuild(api: Api, wanted: Wanted) -> Reply:
    return await api.rebuilds.rebuild(wanted.call, wanted.row, wanted.body)


ACTIONS = (
    Action(
        name="rebuild", wire="rebuild", rule=f"{R}:servers:rebuild", runs=Runs.HOST, handler=_rebuild,
        body=Rebuild, reply=RebuiltBody, example={"imageRef": "70a599e0-31e7-49b7-b260-868f441e862b"},
        vm_states=frozenset([Vm.ACTIVE, Vm.STOPPED, Vm.ERROR]), task=Task.REBUILDING,
        shows={Task.SPAWNING: Task.REBUILD_SPAWNING}, ends=Vm.ACTIVE, stays=frozenset([Vm.STOPPED]), has_password=True,
        steps=(REFRESH, DESTROY, UNPLUG, WIPE, *BUILD_OFF, STAY_OFF, *POWER_UP), event="rebuild",
    ),
)  # fmt: skip
