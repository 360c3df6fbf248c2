"""Services, pools, availability zones: what the cloud has to make volumes with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from kilonova.core.db import Database, retried
from kilonova.core.errors import BadRequest, NotFound
from kilonova.core.web.app import Route
from kilonova.core.web.call import Call, Reply
from kilonova.core.web.wire import Body, View, versions
from kilonova.volume import errors
from kilonova.volume.fields import truth_of
from kilonova.volume.models import machine_of
from kilonova.volume.resources.base import OPERATOR, READER, Deps, Resource, V
from kilonova.volume.store import services as store
from kilonova.volume.store import volumes
from kilonova.volume.store.services import PoolRow, ServiceRow
from kilonova.volume.store.volumes import ShareRow
from kilonova.volume.times import shown

S = "volume_extension:services"
RULES = {
    f"{S}:index": OPERATOR, f"{S}:update": OPERATOR, "scheduler_extension:scheduler_stats:get_pools": OPERATOR,
    "volume_extension:availability_zone_list": READER, "volume_extension:capabilities": OPERATOR,
}  # fmt: skip
Reason = Annotated[str, Meta(min_length=1, max_length=255)]


class ServiceView(View, kw_only=True):
    binary: str
    host: str
    zone: str
    status: str
    state: str
    updated_at: str | None
    disabled_reason: str | None
    replication_status: str | UnsetType = UNSET
    active_backend_id: str | UnsetType | None = UNSET
    frozen: bool | UnsetType = UNSET
    cluster: Annotated[str | None, versions("3.7")] = None
    backend_state: Annotated[str | UnsetType, versions("3.49")] = UNSET


class Services(View, kw_only=True):
    services: list[ServiceView]


class ServiceChange(Body, kw_only=True):
    host: Annotated[str, Meta(min_length=1, max_length=255)]
    binary: str | UnsetType = UNSET
    service: str | UnsetType = UNSET
    disabled_reason: Reason | UnsetType = UNSET


class ServiceChanged(View, kw_only=True):
    host: str
    service: str
    binary: str
    status: str
    disabled: bool
    disabled_reason: str | UnsetType = UNSET


class PoolView(View, kw_only=True):
    name: str
    capabilities: dict[str, Any] | UnsetType = UNSET


class Pools(View, kw_only=True):
    pools: list[PoolView]


class Capabilities(View, kw_only=True):
    """What a back end can do; `properties` describes extra specs of its own, of which there are none."""

    namespace: str
    vendor_name: str
    volume_backend_name: str
    pool_name: str | None
    driver_version: str
    storage_protocol: str
    display_name: str | None
    description: str | None
    visibility: str | None
    replication_targets: list[str]
    properties: dict[str, Any]


class ZoneState(View, kw_only=True):
    available: bool


class Zone(View, kw_only=True):
    name: str = field(name="zoneName")
    state: ZoneState = field(name="zoneState")


class Zones(View, kw_only=True):
    zones: list[Zone] = field(name="availabilityZoneInfo")


class ServiceLogic:
    def __init__(self, deps: Deps) -> None:
        self.database: Database = deps.database
        self.clock, self.options = deps.clock, deps.options

    async def list(self, **equal: str) -> Sequence[ServiceRow]:
        async with self.database.reading() as connection:
            return await store.find(connection, **equal)

    async def pools(self) -> Sequence[PoolRow]:
        async with self.database.reading() as connection:
            return await store.all_pools(connection)

    async def held(self) -> Sequence[ShareRow]:
        """What each project has in each pool."""
        async with self.database.reading() as connection:
            return await volumes.shares(connection)

    def up(self, row: ServiceRow) -> bool:
        return store.is_up(row, self.clock.row_time(), self.options.backend_down_time)

    @retried
    async def change(self, host: str, binary: str, values: dict[str, Any]) -> None:
        changed = values | {"changed_at": self.clock.row_time()}
        async with self.database.transaction() as tx:
            if not await store.change(tx.connection, host, binary, changed):
                raise errors.ServiceNotFound(binary=binary, host=host)


class ServiceHandlers:
    def __init__(self, logic: ServiceLogic) -> None:
        self.logic = logic

    async def list(self, call: Call) -> Reply:
        asked = {name: call.query[name] for name in ("host", "binary") if call.query.get(name)}
        host = asked.pop("host", None)
        rows = [row for row in await self.logic.list(**asked) if host in (None, row.host, machine_of(row.host))]
        return Reply(Services(services=[self._view(row) for row in rows]))

    def _view(self, row: ServiceRow) -> ServiceView:
        up = self.logic.up(row)
        view = ServiceView(
            binary=row.binary, host=row.host, zone=row.availability_zone, status="disabled" if row.disabled else "enabled",
            state="up" if up else "down", updated_at=shown(row.last_seen), disabled_reason=row.disabled_reason,
        )  # fmt: skip
        if row.binary == store.BACKEND:
            view.replication_status, view.active_backend_id, view.frozen = "disabled", None, bool(row.frozen)
            view.backend_state = "up" if up else "down"
        return view

    async def update(self, call: Call, verb: str) -> Reply:
        if verb not in ("enable", "disable", "disable-log-reason"):
            raise NotFound("Unknown action")
        asked = await call.decode(ServiceChange)
        binary = next((str(name) for name in (asked.binary, asked.service) if name is not UNSET), "")
        if not binary:
            raise BadRequest("Missing required element 'binary' in request body.")
        reason = None if isinstance(asked.disabled_reason, UnsetType) else asked.disabled_reason
        if verb == "disable-log-reason" and reason is None:
            raise BadRequest("Missing required element 'disabled_reason' in request body.")
        off = verb != "enable"
        kept = reason if verb == "disable-log-reason" else None
        await self.logic.change(asked.host, binary, {"disabled": off, "disabled_reason": kept})
        view = ServiceChanged(
            host=asked.host, service=binary, binary=binary, status="disabled" if off else "enabled", disabled=off
        )
        if kept is not None:
            view.disabled_reason = kept
        return Reply(view)

    async def pools(self, call: Call) -> Reply:
        detail = truth_of(call.query.get("detail", "false") or "false", "detail")
        found = [_pool(row, detail=detail) for row in await self.logic.pools()]
        return Reply(Pools(pools=found))

    async def capabilities(self, call: Call, host: str) -> Reply:
        row = next((pool for pool in await self.logic.pools() if host in (pool.name, pool.service)), None)
        if row is None:
            raise errors.HostNotFound(host=host)
        known = msgspec.json.decode(row.capabilities)
        return Reply(
            Capabilities(
                namespace=f"OS::Storage::Capabilities::{row.service}",
                vendor_name=known.get("vendor_name", ""),
                volume_backend_name=known.get("volume_backend_name", ""),
                pool_name=None,
                driver_version=known.get("driver_version", ""),
                storage_protocol=known.get("storage_protocol", ""),
                display_name=None,
                description=None,
                visibility=None,
                replication_targets=[],
                properties={},
            )
        )

    async def zones(self, call: Call) -> Reply:
        zones: dict[str, bool] = {self.logic.options.availability_zone: False}
        for row in await self.logic.list(binary=store.BACKEND):
            zones[row.availability_zone] = zones.get(row.availability_zone, False) or not row.disabled
        found = [Zone(name=name, state=ZoneState(available=free)) for name, free in sorted(zones.items())]
        return Reply(Zones(zones=found))


def _pool(row: PoolRow, *, detail: bool) -> PoolView:
    view = PoolView(name=row.name)
    if detail:
        sizes = {"total_capacity_gb": row.total_gb, "free_capacity_gb": row.free_gb}
        kept = {"reserved_percentage": 0, "pool_name": row.name.partition("#")[2], "timestamp": shown(row.reported_at)}
        view.capabilities = msgspec.json.decode(row.capabilities) | sizes | kept
    return view


def routes(deps: Deps) -> list[Route]:
    at = ServiceHandlers(ServiceLogic(deps))
    pools = "scheduler_extension:scheduler_stats:get_pools"
    return [
        Route("GET", f"{V}/os-services", at.list, f"{S}:index", reply=Services, summary="List conductors and back ends."),
        Route(
            "PUT", f"{V}/os-services/{{verb:str}}", at.update, f"{S}:update", body=ServiceChange, reply=ServiceChanged,
            summary="Enable a back end for new volumes, or disable it.",
        ),
        Route("GET", f"{V}/scheduler-stats/get_pools", at.pools, pools, reply=Pools, summary="List the pools of back ends."),
        Route(
            "GET", f"{V}/capabilities/{{host:str}}", at.capabilities, "volume_extension:capabilities", reply=Capabilities,
            summary="Show what a back end can do.",
        ),
        Route(
            "GET", f"{V}/os-availability-zone", at.zones, "volume_extension:availability_zone_list", reply=Zones,
            summary="List the availability zones.",
        ),
    ]  # fmt: skip


SERVICES = Resource(routes, RULES)
