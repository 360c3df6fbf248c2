"""Freeze a guest and let it run on: it keeps its memory on the host."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, R, Runs
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import PAUSE, UNPAUSE

ACTIONS = (
    Action(
        name="pause", wire="pause", rule=f"{R}:os-pause-server:pause", runs=Runs.HOST,
        vm_states=frozenset([Vm.ACTIVE]), task=Task.PAUSING, ends=Vm.PAUSED, steps=(PAUSE,), event="pause",
    ),
    Action(
        name="unpause", wire="unpause", rule=f"{R}:os-pause-server:unpause", runs=Runs.HOST,
        vm_states=frozenset([Vm.PAUSED]), task=Task.UNPAUSING, ends=Vm.ACTIVE, steps=(UNPAUSE,), event="unpause",
    ),
)  # fmt: skip
