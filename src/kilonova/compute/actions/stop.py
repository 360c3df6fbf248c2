"""Power off a server: its guest is asked to shut down, and switched off when it does not obey in time."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, R, Runs
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import POWER_OFF, UNPLUG

ACTIONS = (
    Action(
        name="stop", wire="os-stop", rule=f"{R}:servers:stop", runs=Runs.HOST,
        vm_states=frozenset([Vm.ACTIVE, Vm.ERROR]), task=Task.POWERING_OFF, ends=Vm.STOPPED,
        steps=(POWER_OFF, UNPLUG), event="power_off",
    ),
)  # fmt: skip
