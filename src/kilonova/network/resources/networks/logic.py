"""Rules of networks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Row, retried
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.hosts import overlay
from kilonova.network.hosts.overlay import VXLAN
from kilonova.network.ipam.addresses import pools_of
from kilonova.network.projects import Projects
from kilonova.network.resources.base.logic import Deps, Guard, facts, network_facts, shown, standard
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.resources.networks.schemas import (
    Network,
    NetworkCreate,
    NetworkIpAvailability,
    NetworkUpdate,
    SubnetIpAvailability,
)
from kilonova.network.store import networks as store
from kilonova.network.store import resources
from kilonova.network.tables import networks

TYPES = ("local", VXLAN)
PLAIN = ("admin_state_up", "shared", "external", "is_default", "port_security_enabled")
SHOWN = (*PLAIN, "status", "mtu", "availability_zone_hints", "network_type", "physical_network", "segmentation_id")


def view(row: Row, subnet_ids: Sequence[str], tags: Sequence[str], zone: str) -> Network:
    values = {name: getattr(row, name) for name in SHOWN}
    zones = [zone] if subnet_ids else []
    return Network(**shown(row, tags), **values, subnets=list(subnet_ids), availability_zones=zones)


def _subnet_availability(row: Row, used: int) -> SubnetIpAvailability:
    total = sum(pool.size for pool in pools_of(row))
    return SubnetIpAvailability(
        subnet_id=row.id, subnet_name=row.name, cidr=row.cidr, ip_version=row.ip_version, total_ips=total, used_ips=used
    )


def _availability(row: Row, subnets: list[SubnetIpAvailability]) -> NetworkIpAvailability:
    return NetworkIpAvailability(
        network_id=row.id,
        network_name=row.name,
        project_id=row.project_id,
        tenant_id=row.project_id,
        total_ips=sum(subnet.total_ips for subnet in subnets),
        used_ips=sum(subnet.used_ips for subnet in subnets),
        subnet_ip_availability=subnets,
    )


class NetworkLogic:
    def __init__(self, deps: Deps, projects: Projects) -> None:
        self.deps, self.projects = deps, projects

    async def list(self, filters: Filters, project_id: str | None) -> Sequence[Network]:
        """Networks that a project sees; all of them for None."""
        where = resources.conditions(networks, filters.filters)
        if project_id is not None:
            where.append(store.networks_seen_by(project_id))
        async with self.deps.database.reading() as connection:
            rows = await resources.page(connection, networks, where, filters)
            if rows is None:
                raise errors.NetworkNotFound(id=filters.marker)
            return await self._views(connection, rows)

    async def get(self, network_id: str, guard: Guard) -> Network:
        async with self.deps.database.reading() as connection:
            row = await self._guarded(connection, network_id, guard)
            return (await self._views(connection, [row]))[0]

    @retried
    async def create(self, ctx: RequestContext, bodies: Sequence[NetworkCreate]) -> Sequence[Network]:
        """All or none."""
        rows = [self._row(ctx, body) async for body in yielding(bodies)]
        async with self.deps.database.transaction() as tx:
            for project_id, count in sorted(Counter(row["project_id"] for row in rows).items()):
                await self.projects.enter(tx, project_id)
                await self.projects.check_quota(tx, project_id, "network", count)
            await self._segment(tx.connection, rows)
            await resources.add(tx.connection, networks, rows)
            made = await resources.by_ids(tx.connection, networks, [row["id"] for row in rows])
        zone = self.deps.options.availability_zone
        return [view(made[row["id"]], [], [], zone) async for row in yielding(rows)]

    @retried
    async def update(self, ctx: RequestContext, network_id: str, body: NetworkUpdate, guard: Guard) -> Network:
        changes = {k: v for k, v in msgspec.structs.asdict(body).items() if v is not UNSET}
        if "description" in changes:
            changes["description"] = changes["description"] or ""
        async with self.deps.database.transaction() as tx:
            row = await self._guarded(tx.connection, network_id, guard, lock=True)
            self._check_mtu(changes.get("mtu"), row.network_type)
            unshared = row.shared and changes.get("shared") is False
            if unshared and await store.foreign_ports(tx.connection, network_id, row.project_id):
                raise errors.InvalidSharedSetting(id=network_id)
            await resources.change(tx.connection, networks, network_id, changes, self.deps.now())
            hosts = await store.hosts_of(tx.connection, network_id) if "mtu" in changes else []
            (changed,) = await self._views(
                tx.connection, list((await resources.by_ids(tx.connection, networks, [network_id])).values())
            )
            await self.deps.announcer.changed(tx, ctx, hosts)
        return changed

    @retried
    async def delete(self, ctx: RequestContext, network_id: str, guard: Guard) -> None:
        """With its subnets and DHCP's port; anything else on it keeps it."""
        async with self.deps.database.transaction() as tx:
            await self._guarded(tx.connection, network_id, guard)
            used_by = await store.ports_in_use(tx.connection, network_id)
            if used_by:
                raise errors.NetworkInUse(id=network_id, ports=", ".join(used_by))
            subnets = (await store.subnet_ids(tx.connection, [network_id])).get(network_id, [])
            await store.delete_ports_of(tx.connection, network_id)
            await store.delete_subnets_of(tx.connection, network_id)
            await resources.remove(tx.connection, networks, [network_id])
            for subnet_id in subnets:
                await resources.remove_tags(tx.connection, subnet_id, None)

    async def availability(self, network_id: str | None) -> Sequence[NetworkIpAvailability]:
        """How many addresses pools hold and ports use, of one network or all."""
        where = resources.conditions(networks, {"id": [network_id]} if network_id else {})
        async with self.deps.database.reading() as connection:
            rows = await resources.page(connection, networks, where, Filters())
            subnets = await store.subnets_of(connection, [row.id for row in rows or []])
            used = await store.used_by_subnet(connection)
        if network_id is not None and not rows:
            raise errors.NetworkNotFound(id=network_id)
        by_network: defaultdict[str, list[SubnetIpAvailability]] = defaultdict(list)
        for subnet in subnets:
            by_network[subnet.network_id].append(_subnet_availability(subnet, used.get(subnet.id, 0)))
        return [_availability(row, by_network[row.id]) for row in rows or []]

    def _row(self, ctx: RequestContext, body: NetworkCreate) -> dict[str, Any]:
        kind = body.network_type or self.deps.options.network_type
        if kind not in TYPES:
            raise errors.InvalidInput(
                reason=f"provider:network_type {kind!r} is not supported, only {' and '.join(map(repr, TYPES))} are"
            )
        if body.physical_network is not None:
            raise errors.InvalidInput(reason=f"a network of type {kind!r} has no physical network")
        if body.segmentation_id is not None and (kind != VXLAN or body.network_type is None):
            raise errors.InvalidInput(reason="a segmentation id needs provider:network_type 'vxlan'")
        self._check_mtu(body.mtu, kind)
        return (
            standard(self.deps, ctx, body)
            | {name: getattr(body, name) for name in PLAIN}
            | {
                "mtu": body.mtu or self._largest_mtu(kind),
                "status": "ACTIVE",
                "network_type": kind,
                "physical_network": None,
                "segmentation_id": body.segmentation_id,
                "availability_zone_hints": body.availability_zone_hints,
            }
        )

    async def _segment(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Give those that need one a segmentation id; those asked for must be free."""
        asked = [row["segmentation_id"] for row in rows if row["segmentation_id"] is not None]
        used = await store.segments_taken(connection, VXLAN, asked) if asked else set()
        used |= {number for number, count in Counter(asked).items() if count > 1}
        if used:
            raise errors.TunnelIdInUse(tunnel_id=min(used))
        async for row in yielding(rows):
            if row["network_type"] == VXLAN and row["segmentation_id"] is None:
                row["segmentation_id"] = await overlay.segment(self.deps, connection, asked)
                asked.append(row["segmentation_id"])

    def _largest_mtu(self, kind: str) -> int:
        return self.deps.options.mtu - (overlay.OVERHEAD if kind == VXLAN else 0)

    def _check_mtu(self, mtu: int | None, kind: str) -> None:
        largest = self._largest_mtu(kind)
        if mtu is not None and mtu > largest:
            raise errors.InvalidInput(reason=f"Requested MTU is too big, maximum is {largest}")

    async def _guarded(self, connection: Any, network_id: str, guard: Guard, *, lock: bool = False) -> Row:
        missing = errors.NetworkNotFound(id=network_id)
        row = await resources.get(connection, networks, network_id, lock=lock)
        if row is None:
            raise missing
        guard(facts(row) | network_facts(row), missing)
        return row

    async def _views(self, connection: Any, rows: Sequence[Row]) -> Sequence[Network]:
        ids = [row.id for row in rows]
        subnets = await store.subnet_ids(connection, ids)
        tags = await resources.tags_of(connection, ids)
        zone = self.deps.options.availability_zone
        return [view(row, subnets.get(row.id, []), tags.get(row.id, []), zone) for row in rows]
