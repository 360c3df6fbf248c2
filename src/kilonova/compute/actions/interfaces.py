"""Give a server an interface, or take one from it, while it runs or is off."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, R, Runs
from kilonova.compute.states import Vm
from kilonova.compute.steps import ATTACH_INTERFACE, DETACH_INTERFACE, HOT_PLUG, HOT_UNPLUG, PLUG_PORT, UNPLUG_PORT

CALM = frozenset([Vm.ACTIVE, Vm.PAUSED, Vm.STOPPED])

ACTIONS = (
    Action(
        name="attach_interface", rule=f"{R}:os-attach-interfaces:create", runs=Runs.HOST, vm_states=CALM,
        steps=(PLUG_PORT, HOT_PLUG, ATTACH_INTERFACE), event="interface_attach",
    ),
    Action(
        name="detach_interface", rule=f"{R}:os-attach-interfaces:delete", runs=Runs.HOST, vm_states=CALM,
        steps=(HOT_UNPLUG, UNPLUG_PORT, DETACH_INTERFACE), event="interface_detach",
    ),
)  # fmt: skip
