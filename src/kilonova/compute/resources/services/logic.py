"""Rules of services, hypervisors and availability zones, as operators see them."""

from __future__ import annotations

from typing import Any

import msgspec

from kilonova.compute.conductor.interface import ConductorAPI
from kilonova.compute.liveness import Liveness
from kilonova.compute.moves import EVACUATION
from kilonova.compute.options import ComputeOptions
from kilonova.compute.resources.server_actions.logic import sender
from kilonova.compute.resources.services import errors
from kilonova.compute.store import aggregates as aggregate_store
from kilonova.compute.store import hosts as host_store
from kilonova.compute.store import migrations
from kilonova.compute.store import servers as server_store
from kilonova.compute.store import services as store
from kilonova.compute.store.services import ServiceRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Database, Transaction, retried


class Known(msgspec.Struct, kw_only=True):
    """A service with what follows of it."""

    row: ServiceRow
    up: bool
    zone: str


KnownServices = list[Known]


class ServiceLogic:
    def __init__(self, database: Database, clock: Clock, options: ComputeOptions) -> None:
        self.database, self.clock, self.options = database, clock, options

    def liveness(self) -> Liveness:
        return Liveness(self.clock.row_time(), self.options.service_down_time)

    async def list(
        self, *, host: str | None = None, binary: str | None = None, uuid: str | None = None
    ) -> KnownServices:
        async with self.database.reading() as connection:
            rows = await store.find(connection, host=host, binary=binary, uuid=uuid)
            zones = await aggregate_store.host_zones(connection)
        liveness = self.liveness()
        return [Known(row=row, up=liveness.is_up(row), zone=self.zone_of(row, zones)) for row in rows]

    def zone_of(self, row: ServiceRow, zones: dict[str, str]) -> str:
        if row.binary != store.COMPUTE:
            return self.options.internal_zone
        return zones.get(row.host, self.options.default_availability_zone)

    @retried
    async def change(
        self, values: dict[str, Any], *, host: str | None = None, uuid: str | None = None, binary: str
    ) -> None:
        """By host and binary, or by uuid; only compute services can be switched. A host that still has guests which were
        evacuated from it can't be forced up."""
        if binary != store.COMPUTE:
            raise errors.OnlyCompute(binary=binary)
        async with self.database.transaction() as tx:
            found = await store.find(tx.connection, host=host, binary=binary, uuid=uuid)
            if not found:
                raise errors.HostBinaryNotFound(host=host, binary=binary)
            if values.get("forced_down") is False:
                left = await migrations.left_behind(tx.connection, found[0].host)
                if any(record.type == EVACUATION.name for record in left):
                    raise errors.EvacuationsNotCompleted(host=found[0].host)
            await store.change(tx.connection, found[0].id, values | {"changed_at": self.clock.row_time()})

    @retried
    async def delete(self, ctx: RequestContext, *, uuid: str | None, number: int | None) -> None:
        async with self.database.transaction() as tx:
            found = await store.find(tx.connection, uuid=uuid, number=number)
            if not found:
                raise errors.ServiceNotFound(service_id=uuid or number)
            row = found[0]
            if row.binary == store.COMPUTE:
                if await server_store.on_hosts(tx.connection, [row.host]):
                    raise errors.HostHasServers
                for aggregate_id, hosts in (await aggregate_store.hosts(tx.connection)).items():
                    if row.host in hosts:
                        await aggregate_store.remove_host(tx.connection, aggregate_id, row.host)
                await self._leave(tx, ctx, row)
            await store.remove(tx.connection, row.id, row.host, row.binary)

    async def _leave(self, tx: Transaction, ctx: RequestContext, row: ServiceRow) -> None:
        """Nothing is to wait for a host that is down and will not return. One that is up would make itself known again."""
        if await migrations.open_ones(tx.connection, host=row.host, statuses=migrations.HOLDING):
            raise errors.HostIsBusy
        node = await host_store.node(tx.connection, row.host)
        if node is not None and not self.liveness().is_up(row):
            await tx.outbox(ConductorAPI).host_removed(sender(ctx), row.host, node.uuid)

    async def zones(self) -> tuple[dict[str, bool], KnownServices]:
        """(zone → whether a host of it can take servers, all enabled services)."""
        known = await self.list()
        zones: dict[str, bool] = {}
        for item in known:
            if item.row.binary == store.COMPUTE:
                usable = not item.row.disabled
                zones[item.zone] = zones.get(item.zone, False) or usable
        return zones, [item for item in known if not item.row.disabled]
