"""Rules of quotas: which limit holds, and the count in the transaction that records."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kilonova.compute.options import Quotas
from kilonova.compute.resources.quotas import errors
from kilonova.compute.store import locks
from kilonova.compute.store import quotas as store
from kilonova.compute.store import servers as server_store
from kilonova.core.db import Connection

RESOURCES = tuple(Quotas.__struct_fields__)
COUNTED = ("cores", "instances", "ram")


class Limits(msgspec.Struct, frozen=True):
    """What holds for a user in a project, by resource: the project's limits, counted against all that the project has, and
    those set for the user alone, counted against the user's own. -1 is no limit."""

    project: dict[str, int]
    user: dict[str, int] = {}

    def __getitem__(self, resource: str) -> int:
        """For what is not counted up, as the items of one server: the user's limit, else the project's."""
        return self.user.get(resource, self.project[resource])

    def merged(self) -> dict[str, int]:
        return self.project | self.user

    def bounds(self, user_id: str | None, *resources: str) -> list[tuple[dict[str, int], str | None]]:
        """The limits that are set for any of the resources, each with whose usage counts: None is the project's."""
        found: list[tuple[dict[str, int], str | None]] = [(self.project, None), (self.user, user_id)]
        return [(limits, user) for limits, user in found if any(limits.get(name, -1) >= 0 for name in resources)]


async def limits_of(connection: Connection, defaults: Quotas, project_id: str, user_id: str | None = None) -> Limits:
    """In one statement. The project's are its own, else the default class's, else the configured ones."""
    owners = [("class", "default"), ("project", project_id)]
    mine = [("user", f"{project_id}/{user_id}")] if user_id is not None else []
    found = await store.find(connection, owners + mine)
    limits: dict[str, int] = msgspec.structs.asdict(defaults)
    for owner in owners:
        limits |= found.get(owner, {})
    return Limits(limits, found.get(mine[0], {}) if mine else {})


class QuotaTracker:
    """What the quotas leave, for launches that are counted one after the other in the transaction that records them: each
    counts those before it."""

    def __init__(self, connection: Connection, defaults: Quotas) -> None:
        self._connection, self._defaults = connection, defaults
        self._limits: dict[tuple[str, str | None], Limits] = {}
        self._used: dict[tuple[str, str | None], dict[str, int]] = {}  # by project, and user or None
        self._members: dict[tuple[str, str | None], int] = {}

    async def enter(self, projects: Iterable[str]) -> None:
        """Other transactions that count for these projects wait until this one ends."""
        for project_id in sorted(projects):  # two that enter several never wait for each other
            await locks.of_project(self._connection, project_id)
            await self._count(project_id, None)

    async def _count(self, project_id: str, user_id: str | None) -> None:
        instances, cores, ram = await server_store.usage(self._connection, project_id, user_id)
        self._used[project_id, user_id] = {"instances": instances, "cores": cores, "ram": ram}

    async def limits(self, project_id: str, user_id: str | None) -> Limits:
        """Asked before a user's first launch here; a user with limits of its own costs one statement more."""
        known = self._limits.get((project_id, user_id))
        if known is None:
            known = await limits_of(self._connection, self._defaults, project_id, user_id)
            self._limits[project_id, user_id] = known
            if any(user is not None for _, user in known.bounds(user_id, *COUNTED)):
                await self._count(project_id, user_id)
        return known

    def fits(
        self, limits: Limits, owner: tuple[str, str | None], each: dict[str, int], *, least: int, most: int
    ) -> int:
        """How many of `most` servers fit that take `each` (by COUNTED), for the (project, user); raises OverQuota when fewer
        than `least` do."""
        project_id, user_id = owner
        for bound, user in limits.bounds(user_id, *COUNTED):
            used = self._used[project_id, user]
            held = [name for name in COUNTED if bound.get(name, -1) >= 0 and each[name] > 0]
            most = max(0, min([most, *((bound[name] - used[name]) // each[name] for name in held)]))
            if most < least:
                raise _over(bound, used, {name: each[name] * least for name in held})
        return most

    def take(self, owner: tuple[str, str | None], each: dict[str, int], count: int) -> None:
        """So many servers are going to be recorded."""
        project_id, user_id = owner
        for place in {(project_id, None), (project_id, user_id)} & self._used.keys():
            for name in COUNTED:
                self._used[place][name] += each[name] * count

    async def join(self, limits: Limits, user_id: str | None, group_id: str, count: int) -> None:
        """So many more members of a server group; raises ServerGroupMembersQuota."""
        resource = "server_group_members"
        for bound, user in limits.bounds(user_id, resource):
            place = (group_id, user)
            if place not in self._members:
                self._members[place] = await server_store.count_members(self._connection, group_id, user)
            if bound[resource] < self._members[place] + count:
                raise errors.ServerGroupMembersQuota(
                    requested=count, used=self._members[place], limit=bound[resource], resource=resource
                )
            self._members[place] += count


def _over(bound: dict[str, int], used: dict[str, int], wanted: dict[str, int]) -> errors.OverQuota:
    """Names what does not fit, with its numbers."""
    overs = [name for name, units in wanted.items() if used[name] + units > bound[name]]
    return errors.OverQuota(
        overs=", ".join(overs),
        requested=", ".join(str(wanted[name]) for name in overs),
        used=", ".join(str(used[name]) for name in overs),
        limits=", ".join(str(bound[name]) for name in overs),
    )
