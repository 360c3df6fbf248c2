"""Availability zones: those that there are, and what hints may name."""

from __future__ import annotations

from collections.abc import Iterable

from kilonova.core.db import Connection
from kilonova.network.deps import Deps
from kilonova.network.errors import AvailabilityZoneNotFound
from kilonova.network.store import agents as store


async def zones(deps: Deps, connection: Connection) -> set[str]:
    """Those of hosts, and the service's own."""
    return {deps.options.availability_zone, *await store.zones(connection)}


async def check_hints(deps: Deps, connection: Connection, hints: Iterable[str]) -> None:
    """Raises AvailabilityZoneNotFound for one that is no zone."""
    wanted = set(hints)
    unknown = wanted - await zones(deps, connection) if wanted else set()
    if unknown:
        raise AvailabilityZoneNotFound(availability_zone=min(unknown))
