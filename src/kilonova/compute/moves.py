"""The kinds of moves: a descriptor of each way in which a server gets another host. Choosing that host, claiming on it, handing
the server from host to host and the end of it are one workflow (conductor/moves) for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from kilonova.compute.states import LIVE_TASKS, REBUILD_SHOWS, REBUILD_TASKS, RESIZE_TASKS, Task


class Leg(StrEnum):
    """A part of a move that one host does."""

    RECEIVE = "receive"  # the new host makes ready for a guest that runs
    SEND = "send"  # the old host sends it there
    LEAVE = "leave"  # the old host switches the guest off and sets its disks aside
    ARRIVE = "arrive"  # the new host brings it up
    WITHDRAW = "withdraw"  # the new host gives up what it has, because the user wants the old one back
    RETURN = "return"  # the old host brings the guest up as it was


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Where a leg is done, the status that the migration's record has meanwhile, and the server's task_state (None: as it
    was). A host that is down may be `given_up`: then the server is not there. `events` are the notifications when it begins."""

    at_source: bool
    status: str
    task: Task | None = None
    given_up: bool = False
    events: tuple[str, ...] = ()


class MoveKind(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the migration record's type, `action` the server action that begins it, `what` its name in texts. The server
    shows one of `tasks` while it is under way, and what `shows` says where a launch shows the key. `way` are the legs from host
    to host. `failed` is the notification that no host could. Of a kind that is not `hurried`, a host that lives is awaited.

    A kind with a first leg at
    the old host (`leaves`) brings the disks along, holds the old claim in the migration's name, ends in a server that waits
    for its user's word (RESIZED), and returns to the old host when it fails. One whose guest runs on meanwhile (`live`) holds
    the old claim likewise; its server is the old host's until the guest was sent, then the new one's."""

    name: str
    action: str
    what: str
    tasks: tuple[Task, ...]
    shows: Mapping[Task, Task] = {}
    legs: Mapping[Leg, Part]
    way: tuple[Leg, ...]
    hurried: bool = False
    failed: str = ""

    @property
    def leaves(self) -> bool:
        return Leg.LEAVE in self.legs

    @property
    def live(self) -> bool:
        return Leg.SEND in self.legs

    @property
    def holds_claim(self) -> bool:
        """Whether the old claim is the migration's from its beginning to its end."""
        return self.leaves or self.live


_BY_TURNS: Mapping[Leg, Part] = {
    Leg.LEAVE: Part(
        at_source=True, status="migrating", task=Task.RESIZE_MIGRATING, events=("resize.prep.end", "resize.start")
    ),
    Leg.ARRIVE: Part(
        at_source=False, status="post-migrating", task=Task.RESIZE_FINISH, given_up=True,
        events=("resize.end", "finish_resize.start"),
    ),
    Leg.WITHDRAW: Part(at_source=False, status="reverting", task=Task.RESIZE_REVERTING),
    Leg.RETURN: Part(at_source=True, status="reverting", task=Task.RESIZE_REVERTING),
}  # fmt: skip
_LIVE: Mapping[Leg, Part] = {
    Leg.RECEIVE: Part(at_source=False, status="preparing", given_up=True, events=("live_migration.pre.start",)),
    Leg.SEND: Part(at_source=True, status="running", events=("live_migration.pre.end",)),
    Leg.ARRIVE: Part(
        at_source=False, status="post-migrating",
        events=("live_migration._post.start", "live_migration._post.end", "live_migration.post.dest.start"),
    ),
}  # fmt: skip

EVACUATION = MoveKind(
    name="evacuation", action="evacuate", what="Evacuation", tasks=REBUILD_TASKS, shows=REBUILD_SHOWS,
    legs={Leg.ARRIVE: Part(at_source=False, status="pre-migrating", given_up=True)}, way=(Leg.ARRIVE,), hurried=True,
)  # fmt: skip
RESIZE = MoveKind(
    name="resize", action="resize", what="Resize", tasks=RESIZE_TASKS, legs=_BY_TURNS, way=(Leg.LEAVE, Leg.ARRIVE),
    failed="resize.error",
)  # fmt: skip
MIGRATION = MoveKind(
    name="migration", action="migrate", what="Migration", tasks=RESIZE_TASKS, legs=_BY_TURNS, way=(Leg.LEAVE, Leg.ARRIVE),
    failed="resize.error",
)  # fmt: skip
LIVE_MIGRATION = MoveKind(
    name="live-migration", action="live-migration", what="Live migration", tasks=LIVE_TASKS, legs=_LIVE,
    way=(Leg.RECEIVE, Leg.SEND, Leg.ARRIVE), failed="live_migration._rollback.end",
)  # fmt: skip
KINDS = {kind.name: kind for kind in (EVACUATION, RESIZE, MIGRATION, LIVE_MIGRATION)}
TASKS = tuple(dict.fromkeys(task for kind in KINDS.values() for task in kind.tasks))
"""A server that shows one of these is on its way."""
