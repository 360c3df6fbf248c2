"""Give a server a volume, take one from it, or tell its guest that one has grown, while it runs or is off."""

from __future__ import annotations

from kilonova.compute.actions.base import ANY_VM, Action, R, Runs
from kilonova.compute.states import Vm
from kilonova.compute.steps import CONNECT_VOLUME, DISCONNECT_VOLUME, PLUG_VOLUME, RESIZE_VOLUME, UNPLUG_VOLUME

RULE = f"{R}:os-volumes-attachments"
HELD = frozenset([Vm.ACTIVE, Vm.PAUSED, Vm.STOPPED, Vm.RESIZED, Vm.SHELVED, Vm.SHELVED_OFFLOADED])

ACTIONS = (
    Action(
        name="attach_volume", rule=f"{RULE}:create", runs=Runs.HOST, vm_states=HELD | {Vm.SOFT_DELETED},
        steps=(CONNECT_VOLUME, PLUG_VOLUME), event="volume_attach",
    ),
    Action(
        name="detach_volume", rule=f"{RULE}:delete", runs=Runs.HOST, vm_states=HELD,
        steps=(UNPLUG_VOLUME, DISCONNECT_VOLUME), event="volume_detach",
    ),
    Action(
        name="extend_volume", rule=f"{R}:os-server-external-events:create", runs=Runs.HOST, vm_states=ANY_VM, locked=False,
        task_states=None, steps=(RESIZE_VOLUME,), event="volume_extend",
    ),
)  # fmt: skip
