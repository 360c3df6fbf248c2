"""The kinds of moves: a descriptor of each way in which a server gets another host. Choosing that host, claiming on it, handing
the server over and the end of it are one workflow (conductor/moves) for all of them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kilonova.compute.states import REBUILD_SHOWS, REBUILD_TASKS, Task


class MoveKind(msgspec.Struct, frozen=True, kw_only=True):
    """`name` is the migration record's type, `action` the server action that begins it, `what` its name in texts. The server
    shows one of `tasks` while it is under way, and what `shows` says where a launch shows the key."""

    name: str
    action: str
    what: str
    tasks: tuple[Task, ...]
    shows: Mapping[Task, Task]


EVACUATION = MoveKind(name="evacuation", action="evacuate", what="Evacuation", tasks=REBUILD_TASKS, shows=REBUILD_SHOWS)
KINDS = {kind.name: kind for kind in (EVACUATION,)}
