"""States as data: what an action may start from, what clients see while it runs, where it ends.

The API checks this table, the agent follows it, the docs print it. Every change is a compare-and-swap on the old state.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Vm(StrEnum):
    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESCUED = "rescued"
    ERROR = "error"
    RESIZED = "resized"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"


class Task(StrEnum):
    SCHEDULING = "scheduling"
    NETWORKING = "networking"
    BLOCK_DEVICE_MAPPING = "block_device_mapping"
    SPAWNING = "spawning"
    POWERING_ON = "powering-on"
    POWERING_OFF = "powering-off"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    REBUILDING = "rebuilding"
    REBUILD_BLOCK_DEVICE_MAPPING = "rebuild_block_device_mapping"
    REBUILD_SPAWNING = "rebuild_spawning"
    DELETING = "deleting"


BUILD_TASKS = (Task.SCHEDULING, Task.NETWORKING, Task.BLOCK_DEVICE_MAPPING, Task.SPAWNING)
REBUILD_TASKS = (Task.REBUILDING, Task.REBUILD_BLOCK_DEVICE_MAPPING, Task.REBUILD_SPAWNING)
REBUILD_SHOWS = {
    Task.BLOCK_DEVICE_MAPPING: Task.REBUILD_BLOCK_DEVICE_MAPPING,
    Task.SPAWNING: Task.REBUILD_SPAWNING,
}
"""What a client sees of an evacuation where a launch would show the key."""


class Transition(msgspec.Struct, frozen=True):
    """`task_states` None means any; `task` is shown while it runs; `ends` where it ends, None for the state it was in."""

    vm_states: frozenset[Vm]
    task_states: frozenset[Task | None] | None
    task: Task
    ends: Vm | None


IDLE: frozenset[Task | None] = frozenset([None])
ANY = frozenset(Vm) - {Vm.DELETED}

ACTIONS: dict[str, Transition] = {
    "start": Transition(frozenset([Vm.STOPPED]), IDLE, Task.POWERING_ON, Vm.ACTIVE),
    "stop": Transition(frozenset([Vm.ACTIVE, Vm.ERROR]), IDLE, Task.POWERING_OFF, Vm.STOPPED),
    "reboot": Transition(frozenset([Vm.ACTIVE]), IDLE, Task.REBOOTING, Vm.ACTIVE),
    "reboot_hard": Transition(
        frozenset([Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED, Vm.ERROR]),
        frozenset([None, Task.REBOOTING, Task.REBOOTING_HARD]),
        Task.REBOOTING_HARD,
        Vm.ACTIVE,
    ),
    "evacuate": Transition(  # whatever its dead host was busy with
        frozenset([Vm.ACTIVE, Vm.STOPPED, Vm.ERROR]),
        frozenset([None, *Task]) - {Task.DELETING, *REBUILD_TASKS},
        Task.REBUILDING,
        None,
    ),
    "delete": Transition(ANY, None, Task.DELETING, Vm.DELETED),
}

_REBUILD: dict[str, str] = dict.fromkeys(REBUILD_TASKS, "REBUILD")

STATUS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    Vm.BUILDING: ("BUILD", {}),
    Vm.ACTIVE: ("ACTIVE", {Task.REBOOTING: "REBOOT", Task.REBOOTING_HARD: "HARD_REBOOT"} | _REBUILD),
    Vm.STOPPED: ("SHUTOFF", {Task.REBOOTING_HARD: "HARD_REBOOT"} | _REBUILD),
    Vm.PAUSED: ("PAUSED", {}),
    Vm.SUSPENDED: ("SUSPENDED", {}),
    Vm.RESCUED: ("RESCUE", {}),
    Vm.ERROR: ("ERROR", {Task.REBOOTING_HARD: "HARD_REBOOT"} | _REBUILD),
    Vm.RESIZED: ("VERIFY_RESIZE", {}),
    Vm.SHELVED: ("SHELVED", {}),
    Vm.SHELVED_OFFLOADED: ("SHELVED_OFFLOADED", {}),
    Vm.SOFT_DELETED: ("SOFT_DELETED", {}),
    Vm.DELETED: ("DELETED", {}),
}
"""vm_state → (status, {task_state: status while that task runs})."""


def status(vm_state: str, task_state: str | None) -> str:
    """The `status` clients see."""
    default, during = STATUS.get(vm_state, ("UNKNOWN", {}))
    return during.get(task_state or "", default)
