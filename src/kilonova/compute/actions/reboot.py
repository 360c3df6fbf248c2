"""Reboot a server: soft where the guest obeys in time, hard otherwise or when that was asked for."""

from __future__ import annotations

from kilonova.compute.actions.base import Action, R, Runs
from kilonova.compute.resources.server_actions.schemas import Reboot
from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import RESTART, SOFT_REBOOT


def _variant(body: Reboot) -> str:
    return "reboot_hard" if body.type.upper() == "HARD" else "reboot"


ACTIONS = (
    Action(
        name="reboot", wire="reboot", rule=f"{R}:servers:reboot", runs=Runs.HOST,
        body=Reboot, example={"type": "SOFT"}, variant=_variant,
        vm_states=frozenset([Vm.ACTIVE]), task=Task.REBOOTING, ends=Vm.ACTIVE,
        steps=(SOFT_REBOOT, *RESTART), event="reboot",
    ),
    Action(
        name="reboot_hard", rule=f"{R}:servers:reboot", runs=Runs.HOST, recorded="reboot",
        vm_states=frozenset([Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED, Vm.ERROR]),
        task_states=frozenset([None, Task.REBOOTING, Task.REBOOTING_HARD]), task=Task.REBOOTING_HARD, ends=Vm.ACTIVE,
        steps=RESTART, event="reboot",
    ),
)  # fmt: skip
