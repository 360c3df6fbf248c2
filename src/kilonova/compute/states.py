"""States as data, and the status that clients see of them. Which action may begin in which state is said by the action
(compute/actions). Every change is a compare-and-swap on the old state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum


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
    PAUSING = "pausing"
    UNPAUSING = "unpausing"
    SUSPENDING = "suspending"
    RESUMING = "resuming"
    REBOOTING = "rebooting"
    REBOOTING_HARD = "rebooting_hard"
    IMAGE_SNAPSHOT_PENDING = "image_snapshot_pending"
    IMAGE_SNAPSHOT = "image_snapshot"
    IMAGE_PENDING_UPLOAD = "image_pending_upload"
    IMAGE_UPLOADING = "image_uploading"
    IMAGE_BACKUP = "image_backup"
    SHELVING = "shelving"
    SHELVING_IMAGE_PENDING_UPLOAD = "shelving_image_pending_upload"
    SHELVING_IMAGE_UPLOADING = "shelving_image_uploading"
    SHELVING_OFFLOADING = "shelving_offloading"
    UNSHELVING = "unshelving"
    RESCUING = "rescuing"
    UNRESCUING = "unrescuing"
    REBUILDING = "rebuilding"
    REBUILD_BLOCK_DEVICE_MAPPING = "rebuild_block_device_mapping"
    REBUILD_SPAWNING = "rebuild_spawning"
    RESIZE_PREP = "resize_prep"
    RESIZE_MIGRATING = "resize_migrating"
    RESIZE_MIGRATED = "resize_migrated"
    RESIZE_FINISH = "resize_finish"
    RESIZE_REVERTING = "resize_reverting"
    MIGRATING = "migrating"
    DELETING = "deleting"
    SOFT_DELETING = "soft-deleting"
    RESTORING = "restoring"


RUNNING, SHUTDOWN, CRASHED, SUSPENDED = 1, 4, 6, 7
FOLLOWS: dict[int, tuple[Sequence[Vm], Vm]] = {
    SHUTDOWN: ((Vm.ACTIVE, Vm.PAUSED), Vm.STOPPED),
    CRASHED: ((Vm.ACTIVE, Vm.PAUSED), Vm.STOPPED),
    RUNNING: ((Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED), Vm.ACTIVE),
    SUSPENDED: ((Vm.ACTIVE, Vm.PAUSED), Vm.SUSPENDED),
}
"""power state a guest took by itself → the vm_states that then no longer hold, and the one that does."""
SETTLED = (Vm.ACTIVE, Vm.STOPPED, Vm.PAUSED, Vm.SUSPENDED, Vm.RESCUED, Vm.ERROR)
"""Whose rows show the power state that the guest took by itself."""

BUILD_TASKS = (Task.SCHEDULING, Task.NETWORKING, Task.BLOCK_DEVICE_MAPPING, Task.SPAWNING)
UNSHELVE_TASKS = (Task.UNSHELVING, Task.SPAWNING)
REBUILD_TASKS = (Task.REBUILDING, Task.REBUILD_BLOCK_DEVICE_MAPPING, Task.REBUILD_SPAWNING)
UNSHELVE_SHOWS = {Task.NETWORKING: Task.SPAWNING, Task.SPAWNING: Task.SPAWNING}
"""What a client sees of a server that is unshelved on a new host where a launch would show the key."""
REBUILD_SHOWS = {
    Task.BLOCK_DEVICE_MAPPING: Task.REBUILD_BLOCK_DEVICE_MAPPING,
    Task.SPAWNING: Task.REBUILD_SPAWNING,
}
"""What a client sees of an evacuation where a launch would show the key."""

RESIZE_TASKS = (
    Task.RESIZE_PREP, Task.RESIZE_MIGRATING, Task.RESIZE_MIGRATED, Task.RESIZE_FINISH, Task.RESIZE_REVERTING,
)  # fmt: skip

LIVE_TASKS = (Task.MIGRATING,)

_LIVE: dict[str, str] = {Task.MIGRATING: "MIGRATING"}
_REBUILD: dict[str, str] = dict.fromkeys(REBUILD_TASKS, "REBUILD")
_REVERTING: dict[str, str] = {Task.RESIZE_REVERTING: "REVERT_RESIZE"}
_RESIZE: dict[str, str] = {**dict.fromkeys(RESIZE_TASKS, "RESIZE"), **_REVERTING}


def is_launching(vm_state: str, task_state: str | None) -> bool:
    """Whether a server is on its way to its first host, or to a new one after it was shelved."""
    return vm_state == Vm.BUILDING or (vm_state == Vm.SHELVED_OFFLOADED and task_state in UNSHELVE_TASKS)


STATUS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    Vm.BUILDING: ("BUILD", {}),
    Vm.ACTIVE: ("ACTIVE", {Task.REBOOTING: "REBOOT", Task.REBOOTING_HARD: "HARD_REBOOT"} | _REBUILD | _RESIZE | _LIVE),
    Vm.STOPPED: ("SHUTOFF", {Task.REBOOTING_HARD: "HARD_REBOOT"} | _REBUILD | _RESIZE),
    Vm.PAUSED: ("PAUSED", _LIVE),
    Vm.SUSPENDED: ("SUSPENDED", {}),
    Vm.RESCUED: ("RESCUE", {}),
    Vm.ERROR: ("ERROR", {Task.REBOOTING_HARD: "HARD_REBOOT"} | _REBUILD),
    Vm.RESIZED: ("VERIFY_RESIZE", _REVERTING),
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
