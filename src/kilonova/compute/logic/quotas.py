"""Rules of quotas: which limit holds, and the count in the transaction that records."""

from __future__ import annotations

import msgspec

from kilonova.compute import errors
from kilonova.compute.options import Quotas
from kilonova.compute.store import quotas as store
from kilonova.compute.store import servers as server_store
from kilonova.compute.store import turns
from kilonova.core.db import Connection

RESOURCES = tuple(Quotas.__struct_fields__)
COUNTED = ("cores", "instances", "ram")


def effective(defaults: Quotas, found: store.Limits, project_id: str, user_id: str | None = None) -> dict[str, int]:
    """The limits that hold: the user's, else the project's, else the default class's, else the configured ones."""
    limits: dict[str, int] = msgspec.structs.asdict(defaults)
    owners = [("class", "default"), ("project", project_id), ("user", f"{project_id}/{user_id}")]
    for owner in owners:
        limits |= found.get(owner, {})
    return limits


async def limits_of(
    connection: Connection, defaults: Quotas, project_id: str, user_id: str | None = None
) -> dict[str, int]:
    owners = [("class", "default"), ("project", project_id), ("user", f"{project_id}/{user_id}")]
    return effective(defaults, await store.find(connection, owners), project_id, user_id)


async def check_servers(
    connection: Connection,
    limits: dict[str, int],
    project_id: str,
    *,
    least: int,
    most: int,
    vcpus: int,
    memory_mb: int,
) -> int:
    """How many of `most` servers fit; raises OverQuota when fewer than `least` do. Call it in the transaction that
    records them, so that nobody else counts meanwhile."""
    await turns.of_project(connection, project_id)
    instances, cores, ram = await server_store.usage(connection, project_id)
    used = {"instances": instances, "cores": cores, "ram": ram}
    each = {"instances": 1, "cores": vcpus, "ram": memory_mb}
    room = [(limits[name] - used[name]) // each[name] for name in COUNTED if limits[name] >= 0 and each[name] > 0]
    fits = max(0, min([most, *room]))
    if fits >= least:
        return fits
    overs = [name for name in COUNTED if limits[name] >= 0 and used[name] + each[name] * least > limits[name]]
    raise errors.OverQuota(
        overs=", ".join(overs),
        requested=", ".join(str(each[name] * least) for name in overs),
        used=", ".join(str(used[name]) for name in overs),
        limits=", ".join(str(limits[name]) for name in overs),
    )
