"""Rules of service profiles. There are no drivers to choose among, so none can be named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.network.resources.base.columns import changes_of
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.service_profiles import errors
from kilonova.network.resources.service_profiles.schemas import (
    ServiceProfile,
    ServiceProfileCreate,
    ServiceProfileUpdate,
)
from kilonova.network.store import flavors as store
from kilonova.network.store.flavors import SERVICE_PROFILES, ServiceProfileRow


class ServiceProfileLogic(Logic[ServiceProfileRow, ServiceProfile]):
    objects = SERVICE_PROFILES
    owned = False
    missing = errors.ServiceProfileNotFound

    async def views(self, connection: Connection, rows: Sequence[ServiceProfileRow]) -> Sequence[ServiceProfile]:
        return [ServiceProfile(**{n: getattr(row, n) for n in ServiceProfile.__struct_fields__}) for row in rows]

    def new(self, ctx: RequestContext, body: ServiceProfileCreate) -> dict[str, Any]:
        values = changes_of(body)
        _check(values, values)
        return {"id": self.deps.clock.uuid(), **values}

    async def changes(self, tx: Transaction, row: ServiceProfileRow, body: ServiceProfileUpdate) -> dict[str, Any]:
        await self._check_unused(tx, row)
        values = changes_of(body)
        _check(values, {"driver": row.driver, "metainfo": row.metainfo} | values)
        return values

    async def removing(self, tx: Transaction, ctx: RequestContext, row: ServiceProfileRow) -> None:
        await self._check_unused(tx, row)

    async def _check_unused(self, tx: Transaction, row: ServiceProfileRow) -> None:
        if await store.is_used(tx.connection, row.id):
            raise errors.ServiceProfileInUse(id=row.id)


def _check(given: Mapping[str, Any], whole: Mapping[str, Any]) -> None:
    if given.get("driver"):
        raise errors.ServiceProfileDriverNotFound(driver=given["driver"])
    if not whole["driver"] and not whole["metainfo"]:
        raise errors.ServiceProfileEmpty
