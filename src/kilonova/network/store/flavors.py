"""SQL of flavors and service profiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import delete, select

from kilonova.core.db import Connection
from kilonova.core.db.prepared import insert
from kilonova.network.store.objects import ObjectRow, Objects
from kilonova.network.store.tags import chunks
from kilonova.network.tables import flavor_service_profiles as links
from kilonova.network.tables import flavors, service_profiles


class FlavorRow(ObjectRow):
    name: str
    description: str
    service_type: str
    enabled: bool


class ServiceProfileRow(ObjectRow):
    description: str
    driver: str
    metainfo: str
    enabled: bool


FLAVORS = Objects(flavors, FlavorRow)
SERVICE_PROFILES = Objects(service_profiles, ServiceProfileRow)


async def profiles_of(connection: Connection, flavor_ids: Sequence[str]) -> dict[str, list[str]]:
    """By flavor: ids of its service profiles."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for part in chunks(flavor_ids):
        query = select(links).where(links.c.flavor_id.in_(part)).order_by(links.c.service_profile_id)
        for row in (await connection.execute(query)).all():
            found[row.flavor_id].append(row.service_profile_id)
    return found


async def is_used(connection: Connection, profile_id: str) -> bool:
    """Whether a flavor has the service profile."""
    query = select(links.c.flavor_id).where(links.c.service_profile_id == profile_id).limit(1)
    return (await connection.execute(query)).first() is not None


async def link(connection: Connection, flavor_id: str, profile_id: str) -> None:
    await connection.execute(insert(links), [{"flavor_id": flavor_id, "service_profile_id": profile_id}])


async def unlink(connection: Connection, flavor_id: str, profile_id: str) -> bool:
    """False where the flavor did not have it."""
    query = delete(links).where(links.c.flavor_id == flavor_id, links.c.service_profile_id == profile_id)
    return (await connection.execute(query)).rowcount > 0
