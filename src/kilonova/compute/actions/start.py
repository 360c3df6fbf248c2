"""Power on a server that is off."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, R, Runs
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import RESTART

ACTIONS = (
    Action(
        name="start", wire="os-start", rule=f"{R}:servers:start", runs=Runs.HOST,
        vm_states=frozenset([Vm.STOPPED]), task=Task.POWERING_ON, ends=Vm.ACTIVE, fails=Vm.STOPPED, stays=frozenset([Vm.RESIZED]),
        steps=RESTART, event="power_on",
    ),
)  # fmt: skip
