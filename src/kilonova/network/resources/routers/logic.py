"""Rules of routers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network import device_owners
from kilonova.network.deps import Deps
from kilonova.network.hosts import overlay
from kilonova.network.hosts.router_hosts import settle
from kilonova.network.projects import make_room
from kilonova.network.resources.base.columns import changes_of, owner, shown, standard
from kilonova.network.resources.base.facts import Guard, Seeing, owned_by
from kilonova.network.resources.base.logic import ReadLogic
from kilonova.network.resources.base.zones import check_hints
from kilonova.network.resources.routers import errors, plan
from kilonova.network.resources.routers.gateway import Gateways
from kilonova.network.resources.routers.interfaces import Interfaces
from kilonova.network.resources.routers.schemas import (
    ExternalFixedIP,
    Gateway,
    Interface,
    InterfaceIn,
    Router,
    RouterCreate,
    RouterUpdate,
)
from kilonova.network.resources.subnets.schemas import HostRoute
from kilonova.network.store import agents as agent_store
from kilonova.network.store import ports as port_store
from kilonova.network.store import routers as store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.routers import ROUTERS, RouterRow


class RouterLogic(ReadLogic[RouterRow, Router]):
    objects = ROUTERS
    missing = errors.RouterNotFound

    def __init__(self, deps: Deps) -> None:
        super().__init__(deps)
        self.gateways, self.interfaces = Gateways(deps), Interfaces(deps)

    async def views(self, connection: Connection, rows: Sequence[RouterRow]) -> Sequence[Router]:
        tags = await tag_store.tags_of(connection, [row.id for row in rows])
        gateways = [row.gateway_port_id for row in rows if row.gateway_port_id is not None]
        addresses = await port_store.addresses_of(connection, gateways)
        hosts = {row.host_id for row in rows} - {""}
        zones = await agent_store.zones_of(connection, hosts) if hosts else {}
        return [
            _view(row, addresses.get(row.gateway_port_id or "", []), tags.get(row.id, []), zones.get(row.host_id))
            for row in rows
        ]

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[RouterCreate], guards: Sequence[Guard], seeing: Seeing
    ) -> Sequence[Router]:
        """All or none; `guards` holds one for each body."""
        async for body, guard in yielding(zip(bodies, guards, strict=True)):
            guard(owned_by(owner(ctx, body)), None)
        async with self.deps.database.transaction() as tx:
            return await self.views(tx.connection, await self.add(tx, ctx, bodies, seeing))

    async def add(
        self, tx: Transaction, ctx: RequestContext, bodies: Sequence[RouterCreate], seeing: Seeing
    ) -> Sequence[RouterRow]:
        rows = [self._new(ctx, body) async for body in yielding(bodies)]
        await check_hints(self.deps, tx.connection, (hint for row in rows for hint in row["availability_zone_hints"]))
        ids = [row["id"] for row in rows]
        await make_room(self.deps, tx, [row["project_id"] for row in rows], {ROUTERS: 1})
        await ROUTERS.add(tx.connection, rows)
        made = await ROUTERS.by_ids(tx.connection, ids)
        async for router_id, body in yielding(zip(ids, bodies, strict=True)):
            if body.external_gateway_info is not None:
                await self.gateways.change(tx, made[router_id], body.external_gateway_info, seeing)
            await settle(self.deps, tx, ctx, router_id)
        made = await ROUTERS.by_ids(tx.connection, ids)
        return [made[router_id] for router_id in ids]

    def _new(self, ctx: RequestContext, body: RouterCreate) -> dict[str, Any]:
        return standard(self.deps, ctx, body) | {
            "admin_state_up": body.admin_state_up, "status": "ACTIVE", "host_id": "", "gateway_port_id": None,
            "gateway_network_id": None, "enable_snat": True, "routes": [],
            "availability_zone_hints": body.availability_zone_hints,
        }  # fmt: skip

    @retried
    async def update(
        self, ctx: RequestContext, router_id: str, body: RouterUpdate, guard: Guard, seeing: Seeing
    ) -> Router:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, router_id, guard, lock=True)
            changes, left = changes_of(body, ("name", "description", "admin_state_up")), overlay.Bound()
            if body.external_gateway_info is not UNSET:
                left = await self.gateways.change(tx, row, body.external_gateway_info, seeing)
            if body.routes is not UNSET:
                changes["routes"] = plan.routes(router_id, body.routes or [])
                await plan.check_routes(tx.connection, router_id, changes["routes"])
            return await self._changed(tx, ctx, row, changes, left)

    @retried
    async def change_routes(
        self, ctx: RequestContext, router_id: str, asked: Sequence[HostRoute], guard: Guard, *, add: bool
    ) -> Router:
        """Add these routes to those there are, or remove them; one that is there already, or is not, is no error."""
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, router_id, guard, lock=True)
            pairs = plan.routes(router_id, asked)
            kept = [list(pair) for pair in row.routes if add or list(pair) not in pairs]
            wanted = kept + [pair for pair in pairs if add and pair not in kept]
            plan.check_count(router_id, wanted)
            await plan.check_routes(tx.connection, router_id, wanted)
            return await self._changed(tx, ctx, row, {"routes": wanted}, overlay.Bound())

    async def _changed(
        self, tx: Transaction, ctx: RequestContext, row: RouterRow, changes: dict[str, Any], left: overlay.Bound
    ) -> Router:
        await ROUTERS.change(tx.connection, row.id, changes, self.deps.now())
        await settle(self.deps, tx, ctx, row.id, left)
        now = await ROUTERS.get(tx.connection, row.id)
        return (await self.views(tx.connection, [now or row]))[0]

    @retried
    async def delete(self, ctx: RequestContext, router_id: str, guard: Guard) -> None:
        """With its gateway; interfaces keep it."""
        async with self.deps.database.transaction() as tx:
            await self.remove(tx, ctx, await self.guarded(tx.connection, router_id, guard, lock=True))

    async def remove(self, tx: Transaction, ctx: RequestContext, row: RouterRow) -> None:
        """A router that is locked."""
        held = (await store.ports_of(tx.connection, [row.id])).get(row.id, [])
        if any(port.owner == device_owners.INTERFACE for port in held):
            raise errors.RouterInUse(id=row.id)
        left = await self.gateways.remove(tx, row, whole=True)
        await settle(self.deps, tx, ctx, row.id, left)
        await ROUTERS.remove(tx.connection, [row.id])

    @retried
    async def add_interface(
        self, ctx: RequestContext, router_id: str, asked: InterfaceIn, guard: Guard, seeing: Seeing
    ) -> Interface:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, router_id, guard, lock=True)
            return await self.join(tx, ctx, row, asked, seeing)

    async def join(
        self, tx: Transaction, ctx: RequestContext, row: RouterRow, asked: InterfaceIn, seeing: Seeing
    ) -> Interface:
        """A router that is locked gets an interface."""
        made = await self.interfaces.add(tx, ctx, row, asked, seeing)
        await self._changed(tx, ctx, row, {}, Counter())
        return made

    @retried
    async def remove_interface(
        self, ctx: RequestContext, router_id: str, asked: InterfaceIn, guard: Guard, seeing: Seeing
    ) -> Interface:
        async with self.deps.database.transaction() as tx:
            row = await self.guarded(tx.connection, router_id, guard, lock=True)
            return await self.leave(tx, ctx, row, asked, seeing)

    async def leave(
        self, tx: Transaction, ctx: RequestContext, row: RouterRow, asked: InterfaceIn, seeing: Seeing
    ) -> Interface:
        """It loses one."""
        gone, left = await self.interfaces.remove(tx, row, asked, seeing)
        await self._changed(tx, ctx, row, {}, left)
        return gone


def _view(row: RouterRow, addresses: Sequence[port_store.Allocation], tags: Sequence[str], zone: str | None) -> Router:
    gateway = None
    if row.gateway_network_id is not None:
        held = [ExternalFixedIP(subnet_id=a.subnet_id, ip_address=a.ip_address) for a in addresses]
        gateway = Gateway(network_id=row.gateway_network_id, external_fixed_ips=held, enable_snat=row.enable_snat)
    return Router(
        **shown(row, tags),
        admin_state_up=row.admin_state_up,
        status=row.status,
        external_gateway_info=gateway,
        routes=[HostRoute(destination=to, nexthop=via) for to, via in row.routes],
        availability_zone_hints=row.availability_zone_hints,
        availability_zones=[zone] if zone is not None else [],
    )
