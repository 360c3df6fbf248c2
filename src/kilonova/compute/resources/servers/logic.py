"""Rules of reading and editing servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from kilonova.compute import models
from kilonova.compute.errors import UnknownMarker
from kilonova.compute.liveness import Liveness
from kilonova.compute.options import ComputeOptions
from kilonova.compute.resources.servers import errors
from kilonova.compute.states import Vm
from kilonova.compute.store import aggregates as aggregate_store
from kilonova.compute.store import block_devices, faults, request_specs
from kilonova.compute.store import server_lists as lists
from kilonova.compute.store import servers as store
from kilonova.compute.store import services as service_store
from kilonova.compute.store.block_devices import VolumeRow
from kilonova.compute.store.faults import FaultRow
from kilonova.compute.store.server_lists import StoredServer
from kilonova.compute.store.servers import ServerKey, ServerRow
from kilonova.core.clock import Clock
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Database, retried

CALM = (Vm.ACTIVE, Vm.PAUSED, Vm.SUSPENDED, Vm.STOPPED)
"""States in which a server's metadata and tags may be changed."""


class Extras(msgspec.Struct, kw_only=True):
    """What a detailed view needs besides the rows, by server uuid; `host_status` by host."""

    devices: dict[str, list[VolumeRow]] = {}
    faults: dict[str, FaultRow] = {}
    specs: dict[str, models.RequestSpec] = {}
    host_status: dict[str, str] = {}


async def owned(
    connection: Connection, ctx: RequestContext, server_id: str, *, deleted: bool = False, lock: bool = False
) -> ServerRow:
    """The server if the caller may know of it; raises ServerNotFound. `lock` it where what is written depends on it."""
    row = await store.get(connection, server_id, deleted=deleted, lock=lock)
    if row is None or (row.project_id != ctx.project_id and not ctx.is_admin):
        raise errors.ServerNotFound(server_id=server_id)
    return row


def opened(row: StoredServer, extras: Extras) -> ServerRow:
    """A row of `detailed` as one of `one`; `extras` get its spec, if it was asked for."""
    found = lists.opened(row)
    spec: bytes | None = getattr(row, "spec", None)
    if spec is not None:
        extras.specs[row.uuid] = request_specs.decode(spec)
    return found


class ServerLogic:
    def __init__(self, database: Database, clock: Clock, options: ComputeOptions) -> None:
        self.database, self.clock, self.options = database, clock, options

    async def get(self, ctx: RequestContext, server_id: str, *, deleted: bool = False) -> ServerRow:
        async with self.database.reading() as connection:
            return await owned(connection, ctx, server_id, deleted=deleted)

    async def brief(
        self, wanted: lists.ServerFilter, *, limit: int, marker: str | None, sorts: list[tuple[str, bool]]
    ) -> Sequence[ServerKey]:
        async with self.database.reading() as connection:
            after = await self._marker(connection, wanted, marker)
            return await lists.brief(connection, wanted, limit=limit, marker=after, sorts=sorts)

    async def detailed(
        self, wanted: lists.ServerFilter, *, limit: int, marker: str | None, sorts: list[tuple[str, bool]],
        with_spec: bool, with_user_data: bool, with_host_status: bool,
    ) -> tuple[Sequence[StoredServer], Extras]:  # fmt: skip
        """Rows as they are stored, for `opened`."""
        async with self.database.reading() as connection:
            after = await self._marker(connection, wanted, marker)
            rows = await lists.page(
                connection, wanted, limit=limit, marker=after, sorts=sorts, with_spec=with_spec,
                with_user_data=with_user_data,
            )  # fmt: skip
            return rows, await self._extras(connection, rows, with_host_status=with_host_status)

    async def _marker(self, connection: Connection, wanted: lists.ServerFilter, marker: str | None) -> ServerRow | None:
        if marker is None:
            return None
        row = await store.get(connection, marker, deleted=True)
        if row is None or wanted.project_id not in (None, row.project_id):
            raise UnknownMarker(marker=marker)
        return row

    async def _extras(
        self, connection: Connection, rows: Sequence[StoredServer] | Sequence[ServerRow], *, with_host_status: bool
    ) -> Extras:
        extras = Extras()
        if not rows:
            return extras
        extras.devices = await block_devices.volumes_of(connection, [row.uuid for row in rows])
        failed = [row.uuid for row in rows if row.vm_state in (Vm.ERROR, Vm.DELETED)]
        if failed:
            extras.faults = await faults.latest(connection, failed)
        if with_host_status:
            liveness = Liveness(self.clock.row_time(), self.options.service_down_time)
            services = await service_store.of_hosts(connection, {row.host for row in rows if row.host is not None})
            extras.host_status = {service.host: liveness.host_status(service) for service in services}
        return extras

    async def one(
        self, ctx: RequestContext, server_id: str, *, deleted: bool = False, with_host_status: bool = False
    ) -> tuple[ServerRow, Extras]:
        async with self.database.reading() as connection:
            row = await owned(connection, ctx, server_id, deleted=deleted)
            return row, await self._details(connection, row, with_host_status)

    async def _details(self, connection: Connection, row: ServerRow, with_host_status: bool) -> Extras:
        extras = await self._extras(connection, [row], with_host_status=with_host_status)
        extras.specs = await request_specs.get_many(connection, [row.uuid])
        return extras

    @retried
    async def edit(
        self, ctx: RequestContext, server_id: str, values: dict[str, Any], pinned: str | msgspec.UnsetType | None
    ) -> None:
        """Change what its owner may change of a server; `pinned` is the zone it is to stay in, None for none."""
        async with self.database.transaction() as tx:
            row = await owned(tx.connection, ctx, server_id, lock=True)
            if pinned is not msgspec.UNSET:
                await self._pin(tx.connection, row, pinned)
            if values:
                await store.change(tx.connection, row.uuid, values, self.clock.row_time())

    async def _pin(self, connection: Connection, row: ServerRow, zone: Any) -> None:
        spec = await request_specs.get(connection, row.uuid)
        if spec is None or zone == spec.availability_zone:
            return
        if zone is not None and spec.availability_zone is not None:
            raise errors.ZonePinned
        zones = await aggregate_store.host_zones(connection)
        here = zones.get(row.host or "", self.options.default_availability_zone)
        if zone is not None and zone != here:
            raise errors.ZoneElsewhere(here=here, zone=zone)
        spec.availability_zone = zone
        await request_specs.save(connection, row.uuid, spec)
