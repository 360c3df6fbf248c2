"""Rules of flavors: names for kinds of a service, each with service profiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, retried
from kilonova.network.resources.base.columns import changes_of
from kilonova.network.resources.base.facts import Guard
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.flavors import errors
from kilonova.network.resources.flavors.schemas import Flavor, FlavorCreate
from kilonova.network.resources.service_profiles.errors import ServiceProfileNotFound
from kilonova.network.store import flavors as store
from kilonova.network.store.flavors import FLAVORS, SERVICE_PROFILES, FlavorRow

PLAIN = ("id", "name", "description", "service_type", "enabled")


class FlavorLogic(Logic[FlavorRow, Flavor]):
    objects = FLAVORS
    owned = False
    missing = errors.FlavorNotFound

    async def views(self, connection: Connection, rows: Sequence[FlavorRow]) -> Sequence[Flavor]:
        profiles = await store.profiles_of(connection, [row.id for row in rows])
        return [
            Flavor(**{n: getattr(row, n) for n in PLAIN}, service_profiles=profiles.get(row.id, [])) for row in rows
        ]

    def new(self, ctx: RequestContext, body: FlavorCreate) -> dict[str, Any]:
        return {"id": self.deps.clock.uuid(), **changes_of(body)}

    @retried
    async def associate(self, flavor_id: str, profile_id: str, guard: Guard) -> Flavor:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, flavor_id, guard, lock=True)
            if await SERVICE_PROFILES.get(tx.connection, profile_id, lock=True) is None:
                raise ServiceProfileNotFound(id=profile_id)
            if profile_id in (await store.profiles_of(tx.connection, [flavor_id])).get(flavor_id, []):
                raise errors.FlavorServiceProfileBindingExists(id=flavor_id, profile_id=profile_id)
            await store.link(tx.connection, flavor_id, profile_id)
            return (await self.views(tx.connection, [row]))[0]

    @retried
    async def dissociate(self, flavor_id: str, profile_id: str, guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            await self.guarded(tx.connection, flavor_id, guard, lock=True)
            if not await store.unlink(tx.connection, flavor_id, profile_id):
                raise errors.FlavorServiceProfileBindingNotFound(id=flavor_id, profile_id=profile_id)
