"""Rules of quotas: which limit holds, and the count in the transaction that records."""

from __future__ import annotations

from collections.abc import Iterable

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


class Room:
    """What the quotas leave, for launches that are counted one after the other in the transaction that records them: each
    counts those before it."""

    def __init__(self, connection: Connection, defaults: Quotas) -> None:
        self._connection, self._defaults = connection, defaults
        self._limits: dict[tuple[str, str | None], dict[str, int]] = {}
        self._used: dict[str, dict[str, int]] = {}
        self._members: dict[str, int] = {}

    async def enter(self, projects: Iterable[str]) -> None:
        """Nobody else counts for these projects before the transaction ends."""
        for project_id in sorted(projects):  # two crowds never wait for each other
            await turns.of_project(self._connection, project_id)
            instances, cores, ram = await server_store.usage(self._connection, project_id)
            self._used[project_id] = {"instances": instances, "cores": cores, "ram": ram}

    async def limits(self, project_id: str, user_id: str | None) -> dict[str, int]:
        known = self._limits.get((project_id, user_id))
        if known is None:
            known = await limits_of(self._connection, self._defaults, project_id, user_id)
            self._limits[project_id, user_id] = known
        return known

    def fits(self, limits: dict[str, int], project_id: str, each: dict[str, int], *, least: int, most: int) -> int:
        """How many of `most` servers fit that take `each` (by COUNTED); raises OverQuota when fewer than `least` do."""
        used = self._used[project_id]
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

    def take(self, project_id: str, each: dict[str, int], count: int) -> None:
        """So many servers are going to be recorded."""
        for name in COUNTED:
            self._used[project_id][name] += each[name] * count

    async def join(self, limits: dict[str, int], group_id: str, count: int) -> None:
        """So many more members of a server group; raises ServerGroupMembersQuota."""
        if group_id not in self._members:
            found = await server_store.group_members(self._connection, [group_id])
            self._members[group_id] = len(found.get(group_id, []))
        if 0 <= limits["server_group_members"] < self._members[group_id] + count:
            raise errors.ServerGroupMembersQuota
        self._members[group_id] += count
