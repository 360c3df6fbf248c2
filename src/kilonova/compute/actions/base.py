"""The descriptor of a server action. The API, the hosts, recovery, notifications, `os-instance-actions`, the
documentation and the crash tests read it from here.

A module of this package imports neither SQL nor the API's inside at run time: hosts load it too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from kilonova.compute.states import Task, Vm
from kilonova.compute.steps import Step
from kilonova.core.web.wire import Version

if TYPE_CHECKING:
    from kilonova.compute.resources.floating_ips.logic import FloatingIpLogic
    from kilonova.compute.resources.remote_consoles.logic import ConsoleLogic
    from kilonova.compute.resources.server_actions.console import ConsoleLogic as ConsoleTextLogic
    from kilonova.compute.resources.server_actions.evacuation import EvacuationLogic
    from kilonova.compute.resources.server_actions.guest_passwords import PasswordLogic
    from kilonova.compute.resources.server_actions.live import LiveMigrationLogic
    from kilonova.compute.resources.server_actions.logic import ActionLogic
    from kilonova.compute.resources.server_actions.moving import MoveLogic
    from kilonova.compute.resources.server_actions.rebuilds import Rebuilds
    from kilonova.compute.resources.server_actions.rescues import RescueLogic
    from kilonova.compute.resources.server_actions.shelving import ShelvingLogic
    from kilonova.compute.resources.server_actions.snapshots import SnapshotLogic
    from kilonova.compute.resources.server_security_groups import ServerNetworkLogic
    from kilonova.compute.store.servers import ServerRow
    from kilonova.core.web.call import Call, Reply

R = "os_compute_api"
IDLE: frozenset[str | None] = frozenset([None])
ANY_VM = frozenset(Vm) - {Vm.DELETED}


class Runs(StrEnum):
    """Where an action is done."""

    API = "api"  # by its handler alone
    HOST = "host"  # on the server's host, step by step
    REMOVAL = "removal"  # on the server's host, retried until nothing of the server is left there
    MOVE = "move"  # the conductor chooses another host, which takes the server over


class CutOff(StrEnum):
    """What a host does at its start with an action that its last life was cut off in."""

    REDO = "redo"  # from the first step; each bears repetition
    UNDO = "undo"  # undo what was done, and report a failure
    FAIL = "fail"  # report a failure


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A request for an action: `row` is the server, `body` what the action's shape made of the request's."""

    call: Call
    row: ServerRow
    body: Any


@dataclass(frozen=True, kw_only=True)
class Api:
    """What the handlers of actions use."""

    actions: ActionLogic
    network: ServerNetworkLogic
    console: ConsoleTextLogic
    consoles: ConsoleLogic
    evacuation: EvacuationLogic
    rescues: RescueLogic
    shelving: ShelvingLogic
    snapshots: SnapshotLogic
    moves: MoveLogic
    live: LiveMigrationLogic
    floating_ips: FloatingIpLogic
    passwords: PasswordLogic
    rebuilds: Rebuilds


Handler = Callable[[Api, Wanted], Awaitable["Reply"]]


@dataclass(frozen=True, kw_only=True)
class Action:
    """`name` is used in rows, on the bus and in the journal. `wire` is the key in the body of `POST /servers/ID/action`; None: it
    is begun in another way. `body` is the shape of what that key holds (None: it is ignored), `example` a valid one;
    `body_since` is the microversion from which on it is read, and null stands for an `optional_body`. `reply` is the shape of an
    answer (None: there is none). The action exists in the microversions `since` to `until`, both included.

    It may begin in `vm_states`, while the server's task_state is one of `task_states` (None: any); the server shows `task`
    while it runs and is in `ends` afterwards (None: as before), or still in one of `stays`. A failure leaves it as its guest is,
    running, paused or suspended, and in `fails` when the guest is off. `shows` is what clients see of it where a step shows the
    key; what is not in there is not shown. A `locked` server refuses it, unless that is False. With
    `leaves` the server is on no host when it has ended well.

    `steps` are what the host does. `recorded` is the name in `os-instance-actions`, `event` that of its notifications (None:
    there are none). `has_password`: the server's spec holds one until it ended. `variant` picks another action by the body. What
    a user reads when it failed is said by its steps."""

    name: str
    rule: str
    runs: Runs
    wire: str | None = None
    body: type[msgspec.Struct] | type[None] | None = None
    reply: type[msgspec.Struct] | None = None
    example: Any = None
    body_since: Version | None = None
    optional_body: bool = False
    since: Version | None = None
    until: Version | None = None
    handler: Handler | None = None
    variant: Callable[[Any], str] | None = None
    vm_states: frozenset[Vm] = ANY_VM
    task_states: frozenset[str | None] | None = IDLE
    task: str | None = None
    shows: Mapping[str, Task] = field(default_factory=dict)
    locked: bool = True
    leaves: bool = False
    ends: Vm | None = None
    stays: frozenset[Vm] = frozenset()
    fails: Vm = Vm.ERROR
    steps: tuple[Step, ...] = ()
    cut_off: CutOff = CutOff.REDO
    has_password: bool = False
    recorded: str = ""
    event: str | None = None

    @property
    def tasks(self) -> tuple[str | None, ...]:
        """Every task_state of a server while it runs."""
        return (self.task, *self.shows.values())

    @property
    def shown(self) -> str:
        """What clients call it."""
        return self.recorded or self.name

    def serves(self, version: Version | None) -> bool:
        """Whether it exists at a microversion."""
        return version is None or (
            (self.since is None or version >= self.since) and (self.until is None or version <= self.until)
        )
