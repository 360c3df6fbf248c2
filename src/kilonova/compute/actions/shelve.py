"""Put a server away: its disk becomes an image and its host is free of it; bring it back, on any host."""

from __future__ import annotations

from msgspec import UnsetType

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import Unshelve
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import DESTROY, MAKE_IMAGE, OFFLOAD, POWER_OFF, RESTART, UNPLUG
from kilonova.core.web.call import InvalidInput, Reply
from kilonova.core.web.wire import Version

TO_A_ZONE, TO_A_HOST = Version(2, 77), Version(2, 91)


async def _shelve(api: Api, wanted: Wanted) -> Reply:
    await api.shelving.shelve(wanted.call.ctx, wanted.row)
    return Reply()


async def _unshelve(api: Api, wanted: Wanted) -> Reply:
    asked, version = wanted.body, wanted.call.version
    if isinstance(asked, Unshelve):
        zone_given = not isinstance(asked.availability_zone, UnsetType)
        if version is not None and version < TO_A_HOST and zone_given and asked.availability_zone is None:
            raise InvalidInput(reason="availability_zone: None is not of type 'string'")
        host = None if isinstance(asked.host, UnsetType) else asked.host
        if host is not None:
            target = {"project_id": wanted.row.project_id, "user_id": wanted.row.user_id}
            wanted.call.authorize(target, f"{R}:os-shelve:unshelve_to_host")
        zone = None if isinstance(asked.availability_zone, UnsetType) else asked.availability_zone
        await api.shelving.unshelve(wanted.call.ctx, wanted.row, host=host, zone=zone, zone_given=zone_given)
    else:
        await api.shelving.unshelve(wanted.call.ctx, wanted.row)
    return Reply()


ACTIONS = (
    Action(
        name="shelve", wire="shelve", rule=f"{R}:os-shelve:shelve", runs=Runs.HOST, handler=_shelve,
        vm_states=frozenset([Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED]), task=Task.SHELVING,
        shows={
            Task.IMAGE_PENDING_UPLOAD: Task.SHELVING_IMAGE_PENDING_UPLOAD,
            Task.IMAGE_UPLOADING: Task.SHELVING_IMAGE_UPLOADING,
        },
        ends=Vm.SHELVED, fails=Vm.STOPPED, steps=(POWER_OFF, UNPLUG, *MAKE_IMAGE), event="shelve",
    ),
    Action(
        name="shelveOffload", wire="shelveOffload", rule=f"{R}:os-shelve:shelve_offload", runs=Runs.HOST,
        vm_states=frozenset([Vm.SHELVED]), task=Task.SHELVING_OFFLOADING, ends=Vm.SHELVED_OFFLOADED, fails=Vm.SHELVED,
        leaves=True, steps=(DESTROY, UNPLUG, OFFLOAD), event="shelve_offload",
    ),
    Action(
        name="unshelve", wire="unshelve", rule=f"{R}:os-shelve:unshelve", runs=Runs.HOST, handler=_unshelve,
        body=Unshelve, body_since=TO_A_ZONE, optional_body=True, example={"availability_zone": "nova"},
        vm_states=frozenset([Vm.SHELVED, Vm.SHELVED_OFFLOADED]), task=Task.UNSHELVING, ends=Vm.ACTIVE, fails=Vm.SHELVED,
        steps=RESTART, event="unshelve",
    ),
)  # fmt: skip
