"""Volumes and their snapshots for clients that still ask compute for them (until 2.35)."""

from __future__ import annotations

from kilonova.compute.resources.base import Deps, Resource, V
from kilonova.compute.resources.volumes import schemas as shapes
from kilonova.compute.resources.volumes.handlers import Proxied, snapshot_view, volume_view
from kilonova.compute.resources.volumes.logic import VolumeProxy
from kilonova.compute.resources.volumes.policies import RULE, RULES, SNAPSHOTS
from kilonova.compute.web.parameters import known
from kilonova.core.web.app import Route

LAST = "2.35"
PARAMETERS = {
    f"GET /{path}{more}": known("2.75", "limit", "offset")
    for path in ("os-volumes", "os-snapshots")
    for more in ("", "/detail")
}


def routes(deps: Deps) -> list[Route]:
    volumes = Proxied(
        VolumeProxy(deps.core, "volume"), volume_view, lambda one: shapes.VolumeBody(volume=one),
        lambda every: shapes.Volumes(volumes=every),
    )  # fmt: skip
    snapshots = Proxied(
        VolumeProxy(deps.core, "snapshot"), snapshot_view, lambda one: shapes.SnapshotBody(snapshot=one),
        lambda every: shapes.Snapshots(snapshots=every),
    )  # fmt: skip
    made = [
        Route(
            "POST", f"{V}/os-volumes", volumes.create_volume, f"{RULE}:create", 200, until=LAST,
            body=shapes.VolumeCreate, reply=shapes.VolumeBody, summary="Create a volume.",
        ),
        Route(
            "POST", f"{V}/os-snapshots", snapshots.create_snapshot, f"{SNAPSHOTS}:create", 200, until=LAST,
            body=shapes.SnapshotCreate, reply=shapes.SnapshotBody, summary="Take a snapshot of a volume.",
        ),
    ]  # fmt: skip
    named = (
        ("os-volumes", RULE, volumes, shapes.Volumes, shapes.VolumeBody, "volume"),
        ("os-snapshots", SNAPSHOTS, snapshots, shapes.Snapshots, shapes.SnapshotBody, "snapshot"),
    )
    for path, rule, proxied, every, one, noun in named:
        item = f"{V}/{path}/{{{noun}_id:str}}"
        made += [
            Route(
                "GET", f"{V}/{path}", proxied.list, f"{rule}:list", until=LAST, reply=every,
                summary=f"List {noun}s.",
            ),
            Route(
                "GET", f"{V}/{path}/detail", proxied.list, f"{rule}:detail", until=LAST, reply=every,
                summary=f"List {noun}s with details.",
            ),
            Route("GET", item, proxied.show, f"{rule}:show", until=LAST, reply=one, summary=f"Show a {noun}."),
            Route("DELETE", item, proxied.delete, f"{rule}:delete", 202, until=LAST, summary=f"Delete a {noun}."),
        ]  # fmt: skip
    return made


VOLUMES = Resource(routes, RULES, PARAMETERS)
