"""Routes of snapshots."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from kilonova.core.web.app import Route
from kilonova.core.web.wire import wrapped
from kilonova.volume.resources.base import Deps, Resource, V
from kilonova.volume.resources.snapshots import schemas as shapes
from kilonova.volume.resources.snapshots.handlers import ACTIONS, Snapshots
from kilonova.volume.resources.snapshots.logic import SnapshotLogic
from kilonova.volume.resources.snapshots.policies import RULES

EVERY, ONE = f"{V}/snapshots", f"{V}/snapshots/{{snapshot_id:str}}"
BODIES: Any = reduce(or_, [wrapped(name, shape | None) for name, (shape, _) in ACTIONS.items()])


def routes(deps: Deps) -> list[Route]:
    snapshots = Snapshots(SnapshotLogic(deps))
    body, many = shapes.SnapshotBody, shapes.Snapshots
    return [
        Route(
            "POST", EVERY, snapshots.create, "volume:create_snapshot", 202, body=shapes.SnapshotCreate, reply=body,
            summary="Take a snapshot of a volume.",
        ),
        Route("GET", EVERY, snapshots.list, "volume:get_all_snapshots", reply=many, summary="List snapshots, in brief."),
        Route("GET", f"{EVERY}/detail", snapshots.detail, "volume:get_all_snapshots", reply=many, summary="List snapshots."),
        Route("GET", ONE, snapshots.show, "volume:get_snapshot", reply=body, summary="Show a snapshot."),
        Route(
            "PUT", ONE, snapshots.update, "volume:update_snapshot", body=shapes.SnapshotUpdate, reply=body,
            summary="Change a snapshot's texts.",
        ),
        Route("DELETE", ONE, snapshots.delete, "volume:delete_snapshot", 202, summary="Delete a snapshot."),
        Route(
            "POST", f"{ONE}/action", snapshots.act, "volume:get_snapshot", 202, body=BODIES,
            summary="Do an action on a snapshot: the body's one key names it.",
        ),
    ]  # fmt: skip


SNAPSHOTS = Resource(routes, RULES)
