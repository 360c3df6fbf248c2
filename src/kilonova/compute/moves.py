"""The kinds of moves: a descriptor of each way in which a server gets another host. Choosing that host, claiming on it, handing
the server from host to host and the end of it are one workflow (conductor/moves) for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from kilonova.compute.states import REBUILD_SHOWS, REBUILD_TASKS, RESIZE_TASKS, Task


class Leg(StrEnum):
    """A part of a move that one host does."""

    LEAVE = "leave"  # the old host switches the guest off and sets its disks aside
    ARRIVE = "arrive"  # the new host brings it up
    WITHDRAW = "withdraw"  # the new host gives up what it has, because the user wants the old one back
    RETURN = "return"  # the old host brings the guest up as it was


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Where a leg is done, the status that the migration's record has meanwhile, and the server's task_state (None: as it
    was)."""

    at_source: bool
    status: str
    task: Task | None = None


class MoveKind(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the migration record's type, `action` the server action that begins it, `what` its name in texts. The server
    shows one of `tasks` while it is under way, and what `shows` says where a launch shows the key. A kind with a first leg at
    the old host (`leaves`) brings the disks along, holds the old claim in the migration's name, ends in a server that waits
    for its user's word (RESIZED), and returns to the old host when it fails."""

    name: str
    action: str
    what: str
    tasks: tuple[Task, ...]
    shows: Mapping[Task, Task] = {}
    legs: Mapping[Leg, Part]

    @property
    def leaves(self) -> bool:
        return Leg.LEAVE in self.legs


_BY_TURNS: Mapping[Leg, Part] = {
    Leg.LEAVE: Part(at_source=True, status="migrating", task=Task.RESIZE_MIGRATING),
    Leg.ARRIVE: Part(at_source=False, status="post-migrating", task=Task.RESIZE_FINISH),
    Leg.WITHDRAW: Part(at_source=False, status="reverting", task=Task.RESIZE_REVERTING),
    Leg.RETURN: Part(at_source=True, status="reverting", task=Task.RESIZE_REVERTING),
}

EVACUATION = MoveKind(
    name="evacuation", action="evacuate", what="Evacuation", tasks=REBUILD_TASKS, shows=REBUILD_SHOWS,
    legs={Leg.ARRIVE: Part(at_source=False, status="pre-migrating")},
)  # fmt: skip
RESIZE = MoveKind(name="resize", action="resize", what="Resize", tasks=RESIZE_TASKS, legs=_BY_TURNS)
MIGRATION = MoveKind(name="migration", action="migrate", what="Migration", tasks=RESIZE_TASKS, legs=_BY_TURNS)
KINDS = {kind.name: kind for kind in (EVACUATION, RESIZE, MIGRATION)}
TASKS = tuple(dict.fromkeys(task for kind in KINDS.values() for task in kind.tasks))
"""A server that shows one of these is on its way."""
