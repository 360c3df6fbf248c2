"""Rules of host aggregates. A host is in at most one availability zone."""

from __future__ import annotations

from typing import Any

from kilonova.compute.resources.aggregates import errors
from kilonova.compute.store import aggregates as store
from kilonova.compute.store import hypervisors as node_store
from kilonova.compute.store import locks
from kilonova.compute.store import servers as server_store
from kilonova.compute.store.aggregates import AggregateRow
from kilonova.core.clock import Clock
from kilonova.core.db import Connection, Database, retried

ZONE = "availability_zone"
HostNames = list[str]
Held = tuple[AggregateRow, HostNames]


class AggregateLogic:
    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock

    async def list(self) -> list[Held]:
        async with self.database.reading() as connection:
            hosts = await store.hosts(connection)
            return [(row, hosts.get(row.id, [])) for row in await store.all_of(connection)]

    async def get(self, aggregate_id: int) -> Held:
        async with self.database.reading() as connection:
            return await self._get(connection, aggregate_id)

    async def _get(self, connection: Connection, aggregate_id: int) -> Held:
        row = await store.get(connection, aggregate_id)
        if row is None:
            raise errors.AggregateNotFound(aggregate_id=aggregate_id)
        return row, (await store.hosts(connection)).get(aggregate_id, [])

    @retried
    async def create(self, name: str, zone: str | None) -> Held:
        async with self.database.transaction() as tx:
            if await store.named(tx.connection, name) is not None:
                raise errors.AggregateExists(name=name)
            await store.add(tx.connection, {
                "uuid": self.clock.uuid(), "name": name, "metadata": {ZONE: zone} if zone else {},
                "created_at": self.clock.row_time()})  # fmt: skip
            row = await store.named(tx.connection, name)
        assert row is not None  # noqa: S101 - just written
        return row, []

    @retried
    async def update(self, aggregate_id: int, name: str | None, metadata: dict[str, str | None]) -> Held:
        """`metadata` adds keys, or removes them with None. A zone can't change under servers."""
        async with self.database.transaction() as tx:
            await locks.of_zones(tx.connection)
            row, hosts = await self._get(tx.connection, aggregate_id)
            values: dict[str, Any] = {"updated_at": self.clock.row_time()}
            if name is not None and name != row.name:
                if await store.named(tx.connection, name) is not None:
                    raise errors.AggregateExists(name=name)
                values["name"] = name
            if ZONE in metadata and metadata[ZONE] != row.metadata.get(ZONE):
                await self._check_zone_change(tx.connection, row, hosts, metadata[ZONE])
            merged = row.metadata | metadata
            values["metadata"] = {key: value for key, value in merged.items() if value is not None}
            await store.change(tx.connection, aggregate_id, values)
            return await self._get(tx.connection, aggregate_id)

    async def _check_zone_change(
        self, connection: Connection, row: AggregateRow, hosts: HostNames, zone: str | None
    ) -> None:
        if await server_store.on_hosts(connection, hosts):
            raise errors.ZoneInUse(aggregate_id=row.id)
        others = await self._zones_of(connection, hosts, without=row.id)
        if zone is not None and others - {zone}:
            raise errors.ZoneConflict(aggregate_id=row.id, zones=", ".join(sorted(others)))

    async def _zones_of(self, connection: Connection, hosts: HostNames, *, without: int) -> set[str]:
        held = await store.hosts(connection)
        wanted = set(hosts)
        rows = [row for row in await store.all_of(connection) if row.id != without]
        return {row.metadata[ZONE] for row in rows if ZONE in row.metadata and wanted & set(held.get(row.id, []))}

    @retried
    async def delete(self, aggregate_id: int) -> None:
        async with self.database.transaction() as tx:
            _, hosts = await self._get(tx.connection, aggregate_id)
            if hosts:
                raise errors.AggregateHasHosts
            await store.remove(tx.connection, aggregate_id)

    @retried
    async def add_host(self, aggregate_id: int, host: str) -> Held:
        async with self.database.transaction() as tx:
            await locks.of_zones(tx.connection)
            row, hosts = await self._get(tx.connection, aggregate_id)
            if not await node_store.find(tx.connection, host=host):
                raise errors.ComputeHostNotFound(host=host)
            if host in hosts:
                raise errors.AggregateHostExists(host=host, aggregate_id=aggregate_id)
            zone = row.metadata.get(ZONE)
            others = await self._zones_of(tx.connection, [host], without=aggregate_id)
            if zone is not None and others - {zone}:
                raise errors.AggregateHostInOtherZone(aggregate_id=aggregate_id, zones=sorted(others))
            if zone is not None and zone not in others and await server_store.on_hosts(tx.connection, [host]):
                raise errors.HostWithServers(aggregate_id=aggregate_id)
            await store.add_host(tx.connection, aggregate_id, host)
            return await self._changed(tx.connection, row, [*hosts, host])

    @retried
    async def remove_host(self, aggregate_id: int, host: str) -> Held:
        async with self.database.transaction() as tx:
            row, hosts = await self._get(tx.connection, aggregate_id)
            if host not in hosts:
                raise errors.HostNotInAggregate(host=host, aggregate_id=aggregate_id)
            if ZONE in row.metadata and await server_store.on_hosts(tx.connection, [host]):
                raise errors.HostStillUsed(aggregate_id=aggregate_id)
            await store.remove_host(tx.connection, aggregate_id, host)
            return await self._changed(tx.connection, row, [kept for kept in hosts if kept != host])

    async def _changed(self, connection: Connection, row: AggregateRow, hosts: HostNames) -> Held:
        """Schedulers see by the time that they have to look again."""
        await store.change(connection, row.id, {"updated_at": self.clock.row_time()})
        return row, hosts
