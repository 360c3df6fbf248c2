"""Delete a server: for good, by force or where nothing is kept; else it is off and kept, until it is restored or its time is
over (`[compute] reclaim_instance_interval`)."""

from __future__ import annotations

from kilonova.compute.actions.base import ANY_VM, Action, Api, R, Runs, Wanted
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import POWER_OFF, RESTART, UNPLUG
from kilonova.core.web.call import Reply


async def _force(api: Api, wanted: Wanted) -> Reply:
    await api.actions.delete(wanted.call.ctx, wanted.row.uuid, force=True)
    return Reply()


async def _restore(api: Api, wanted: Wanted) -> Reply:
    await api.actions.restore(wanted.call.ctx, wanted.row.uuid)
    return Reply()


ACTIONS = (
    Action(
        name="delete", wire="forceDelete", rule=f"{R}:os-deferred-delete:force", runs=Runs.REMOVAL, handler=_force,
        task_states=None, task=Task.DELETING, ends=Vm.DELETED,
    ),
    Action(
        name="soft_delete", rule=f"{R}:servers:delete", runs=Runs.HOST,
        vm_states=ANY_VM - {Vm.BUILDING, Vm.SHELVED_OFFLOADED, Vm.SOFT_DELETED}, task_states=None, task=Task.SOFT_DELETING,
        ends=Vm.SOFT_DELETED, recorded="delete", steps=(POWER_OFF, UNPLUG), event="soft_delete",
    ),
    Action(
        name="restore", wire="restore", rule=f"{R}:os-deferred-delete:restore", runs=Runs.HOST, handler=_restore,
        vm_states=frozenset([Vm.SOFT_DELETED]), task=Task.RESTORING, ends=Vm.ACTIVE, fails=Vm.SOFT_DELETED,
        steps=RESTART, event="restore",
    ),
)  # fmt: skip
