"""Start a server from another disk, with its own beside it, so that what keeps it from starting can be mended; and bring it back
as it was."""

from __future__ import annotations

from msgspec import UnsetType

from kilonova.compute.actions.base import Action, Api, R, Runs, Wanted
from kilonova.compute.resources.server_actions.schemas import Rescue, Rescued
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import (
    AWAIT_NETWORK,
    DEFINE,
    DESTROY,
    IMAGE,
    PERSONALISE,
    PLUG,
    POWER_OFF,
    POWER_ON,
    REFRESH,
    RESCUE,
    RESUME,
    RUNNING,
    START,
    UNRESCUE,
)
from kilonova.core.web.call import Reply
from kilonova.core.web.wire import Version, present

OF_VOLUMES = Version(2, 87)
"""From here on servers whose root disk is a volume can be rescued."""
FROM_RESCUE_DISK = (
    REFRESH, POWER_OFF, IMAGE, RESCUE, PERSONALISE, DEFINE, PLUG, START, AWAIT_NETWORK, RESUME, RUNNING,
)  # fmt: skip


async def _rescue(api: Api, wanted: Wanted) -> Reply:
    password = present(wanted.body.admin_pass, None) or api.actions.password()
    image = wanted.body.rescue_image_ref
    await api.rescues.rescue(
        wanted.call.ctx,
        wanted.row,
        image_id=None if isinstance(image, UnsetType) else image,
        admin_pass=password,
        of_volumes=wanted.call.version is None or wanted.call.version >= OF_VOLUMES,
    )
    return Reply(Rescued(admin_pass=password), status=200)


async def _unrescue(api: Api, wanted: Wanted) -> Reply:
    await api.rescues.unrescue(wanted.call.ctx, wanted.row)
    return Reply()


ACTIONS = (
    Action(
        name="rescue", wire="rescue", rule=f"{R}:os-rescue", runs=Runs.HOST, handler=_rescue,
        body=Rescue, reply=Rescued, optional_body=True, example={"adminPass": "secret"},
        vm_states=frozenset([Vm.ACTIVE, Vm.STOPPED, Vm.ERROR]), task=Task.RESCUING, ends=Vm.RESCUED, has_password=True,
        steps=FROM_RESCUE_DISK, event="rescue",
    ),
    Action(
        name="unrescue", wire="unrescue", rule=f"{R}:os-unrescue", runs=Runs.HOST, handler=_unrescue,
        vm_states=frozenset([Vm.RESCUED]), task=Task.UNRESCUING, ends=Vm.ACTIVE,
        steps=(REFRESH, DESTROY, UNRESCUE, *POWER_ON), event="unrescue",
    ),
)  # fmt: skip
