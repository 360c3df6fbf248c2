"""Interrupt a guest so that its operating system writes a crash dump. The guest decides what it does then: the server's states
stay."""

from __future__ import annotations

from types import NoneType

from kilonova.compute.actions.base import Action, R, Runs
from kilonova.compute.states import Vm
from kilonova.compute.steps import CRASH_DUMP
from kilonova.core.web.wire import Version

ACTIONS = (
    Action(
        name="trigger_crash_dump", wire="trigger_crash_dump", rule=f"{R}:servers:trigger_crash_dump", runs=Runs.HOST,
        since=Version(2, 17), body=NoneType,
        vm_states=frozenset([Vm.ACTIVE, Vm.PAUSED, Vm.RESCUED, Vm.RESIZED, Vm.ERROR]),
        steps=(CRASH_DUMP,), event="trigger_crash_dump",
    ),
)  # fmt: skip
