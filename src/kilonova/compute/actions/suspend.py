"""Switch a guest off with its memory kept on the host's disk, and bring it back as it was."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, R, Runs
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import AWAIT_NETWORK, PLUG, REFRESH, RESTORE, RESUME, RUNNING, SUSPEND, UNPLUG

ACTIONS = (
    Action(
        name="suspend", wire="suspend", rule=f"{R}:os-suspend-server:suspend", runs=Runs.HOST,
        vm_states=frozenset([Vm.ACTIVE]), task=Task.SUSPENDING, ends=Vm.SUSPENDED, steps=(SUSPEND, UNPLUG), event="suspend",
    ),
    Action(
        name="resume", wire="resume", rule=f"{R}:os-suspend-server:resume", runs=Runs.HOST,
        vm_states=frozenset([Vm.SUSPENDED]), task=Task.RESUMING, ends=Vm.ACTIVE, stays=frozenset([Vm.RESIZED]),
        steps=(REFRESH, PLUG, RESTORE, AWAIT_NETWORK, RESUME, RUNNING), event="resume",
    ),
)  # fmt: skip
