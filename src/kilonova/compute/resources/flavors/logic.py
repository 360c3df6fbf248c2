"""Rules of flavors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.compute.errors import UnknownMarker
from kilonova.compute.resources.flavors import errors
from kilonova.compute.store import flavors as store
from kilonova.compute.store.flavors import FlavorRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, retried

DEFAULTS = (  # id, name, MiB, vcpus, GiB
    ("42", "m1.nano", 128, 1, 1),
    ("84", "m1.micro", 192, 1, 1),
    ("1", "m1.tiny", 512, 1, 1),
    ("2", "m1.small", 2048, 1, 20),
    ("3", "m1.medium", 4096, 2, 40),
    ("4", "m1.large", 8192, 4, 80),
    ("5", "m1.xlarge", 16384, 8, 160),
)


def sees(ctx: RequestContext) -> str | None:
    """Whose private flavors the caller sees: its project's, or all (None) for admins."""
    return None if ctx.is_admin else ctx.project_id or ""


async def visible(connection: Connection, ctx: RequestContext, flavorid: str, *, lock: bool = False) -> FlavorRow:
    """The flavor, if the caller may know of it; raises FlavorNotFound."""
    row = await store.get(connection, flavorid, project_id=sees(ctx), lock=lock)
    if row is None:
        raise errors.FlavorNotFound(flavor_id=flavorid)
    return row


class FlavorLogic:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock

    @retried
    async def seed(self) -> None:
        """The usual flavors, in a database that has none; harmless when several processes do it at once."""
        async with self.database.transaction() as tx:
            every = store.FlavorFilter()
            if await store.page(tx.connection, every, limit=1, marker=None, sort_key="id", descending=False):
                return
            rows = [
                self._row(flavorid=flavorid, name=name, memory_mb=memory, vcpus=vcpus, root_gb=disk)
                for flavorid, name, memory, vcpus, disk in DEFAULTS
            ]
            await store.add(tx.connection, rows)

    def _row(self, **values: Any) -> dict[str, Any]:
        default: dict[str, Any] = {
            "description": None, "ephemeral_gb": 0, "swap_mb": 0, "rxtx_factor": 1.0, "is_public": True, "disabled": False,
            "extra_specs": {}, "created_at": self.clock.row_time(),
        }  # fmt: skip
        return default | values

    async def list(
        self, wanted: store.FlavorFilter, *, limit: int, marker: str | None, sort_key: str, descending: bool
    ) -> Sequence[FlavorRow]:
        async with self.database.reading() as connection:
            after = None
            if marker is not None:
                after = await store.get(connection, marker)
                if after is None:
                    raise UnknownMarker(marker=marker)
            return await store.page(
                connection, wanted, limit=limit, marker=after, sort_key=sort_key, descending=descending
            )

    async def get(self, ctx: RequestContext, flavorid: str) -> FlavorRow:
        async with self.database.reading() as connection:
            return await visible(connection, ctx, flavorid)

    @retried
    async def create(self, ctx: RequestContext, values: dict[str, Any]) -> FlavorRow:
        async with self.database.transaction() as tx:
            if await store.get(tx.connection, values["flavorid"]):
                raise errors.FlavorExists(field="ID", value=values["flavorid"])
            if await store.named(tx.connection, values["name"]):
                raise errors.FlavorExists(field="name", value=values["name"])
            await store.add(tx.connection, [self._row(**values)])
            return await visible(tx.connection, ctx, values["flavorid"])

    @retried
    async def describe(self, ctx: RequestContext, flavorid: str, description: str | None) -> FlavorRow:
        async with self.database.transaction() as tx:
            row = await visible(tx.connection, ctx, flavorid)
            await store.change(tx.connection, row.id, {"description": description})
            return await visible(tx.connection, ctx, flavorid)

    @retried
    async def delete(self, ctx: RequestContext, flavorid: str) -> None:
        async with self.database.transaction() as tx:
            await store.remove(tx.connection, (await visible(tx.connection, ctx, flavorid)).id)
