"""Servers that wait for a host: new ones, and those that were shelved and removed from theirs. What differs between them
is said here alone."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute.states import Task, Vm
from kilonova.compute.store.servers import ServerRow


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """`action` is its name in the server's history, `event` that of its notifications. `waits` is the task_state of a server that
    waits for a host, `given_up` are the columns of one that got none, `nowhere` of one whose host undid what it made."""

    action: str
    event: str
    waits: Task
    given_up: dict[str, Any]
    nowhere: dict[str, Any]


OFF: dict[str, Any] = {"host": None, "node": None}
CREATE = Launch(
    action="create", event="create", waits=Task.SCHEDULING, given_up={"vm_state": Vm.ERROR, "task_state": None},
    nowhere=OFF | {"network_info": []},  # its ports are gone, too
)  # fmt: skip
UNSHELVE = Launch(
    action="unshelve", event="unshelve", waits=Task.UNSHELVING,
    given_up={"vm_state": Vm.SHELVED_OFFLOADED, "task_state": None}, nowhere=OFF,
)  # fmt: skip
ACTIONS = (CREATE.action, UNSHELVE.action)


def launch_of(row: ServerRow) -> Launch:
    return UNSHELVE if row.vm_state == Vm.SHELVED_OFFLOADED else CREATE
