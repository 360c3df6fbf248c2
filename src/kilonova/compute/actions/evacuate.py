"""Bring a server up on another host because its own has failed."""

from __future__ import annotations

from msgspec import UnsetType

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions import errors
from kilonova.compute.resources.server_actions.schemas import Evacuate, Evacuated
from kilonova.compute.states import REBUILD_TASKS, Task, Vm
from kilonova.compute.steps import LAUNCH
from kilonova.compute.web.fields import truth
from kilonova.core.web.call import InvalidInput, Reply
from kilonova.core.web.wire import Version, present

FINDS_OUT, STAYS_OFF = Version(2, 14), Version(2, 95)
"""From here on the host finds out whether the disks are shared, and the server stays off."""


async def _evacuate(api: Api, wanted: Wanted) -> Reply:
    asked = wanted.body
    version = wanted.call.version or FINDS_OUT
    older = version < FINDS_OUT  # the client says whether storage is shared, and the answer has the password
    if older and isinstance(asked.shared, UnsetType):
        raise InvalidInput(reason="'onSharedStorage' is a required property")
    shared = truth(asked.shared) if older and not isinstance(asked.shared, UnsetType) else None
    target, force = present(asked.host, None), truth(present(asked.force, False))
    password = present(asked.admin_pass, None)
    if force and target is None:
        raise errors.ForceWithoutHost
    if shared and password is not None:
        raise errors.PasswordOnSharedDisk
    if password is None and not shared:
        password = api.actions.password()
    await api.evacuation.evacuate(
        wanted.call.ctx, wanted.row.uuid, target=target, force=force, shared=shared, stopped=version >= STAYS_OFF,
        admin_pass=password,
    )  # fmt: skip
    return Reply({"adminPass": password} if older else None, status=200)


ACTIONS = (
    Action(
        name="evacuate", wire="evacuate", rule=f"{R}:os-evacuate", runs=Runs.MOVE, handler=_evacuate,
        body=Evacuate, reply=Evacuated, example={"host": "host-2"},
        vm_states=frozenset([Vm.ACTIVE, Vm.STOPPED, Vm.ERROR]),
        # whatever its failed host was doing
        task_states=frozenset([None, *Task]) - {Task.DELETING, *REBUILD_TASKS},
        task=Task.REBUILDING, steps=LAUNCH,
    ),
)  # fmt: skip
