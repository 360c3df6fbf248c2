"""Rules of subnets."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Row, retried
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.ipam.dhcp_port import keep_port
from kilonova.network.projects import Projects
from kilonova.network.resources.base.logic import Deps, Guard, facts, network_facts, owner, shown, standard
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.resources.subnets import plan
from kilonova.network.resources.subnets.schemas import HostRoute, Pool, Subnet, SubnetCreate, SubnetUpdate
from kilonova.network.store import networks as store
from kilonova.network.store import ports as port_store
from kilonova.network.store import resources
from kilonova.network.tables import networks, subnets

Prefixes = list[ipaddress.IPv4Network]
SHOWN = ("network_id", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "dns_nameservers", "service_types")


def view(row: Row, tags: Sequence[str], *, external: bool) -> Subnet:
    return Subnet(
        **shown(row, tags),
        **{name: getattr(row, name) for name in SHOWN},
        allocation_pools=[Pool(start=start, end=end) for start, end in row.allocation_pools],
        host_routes=[HostRoute(destination=to, nexthop=via) for to, via in row.host_routes],
        external=external,
    )


class SubnetLogic:
    def __init__(self, deps: Deps, projects: Projects) -> None:
        self.deps, self.projects = deps, projects

    async def list(self, filters: Filters, project_id: str | None) -> Sequence[Subnet]:
        """Subnets that a project sees; all of them for None."""
        where = resources.conditions(subnets, filters.filters)
        if project_id is not None:
            where.append(store.subnets_seen_by(project_id))
        async with self.deps.database.reading() as connection:
            rows = await resources.page(connection, subnets, where, filters)
            if rows is None:
                raise errors.SubnetNotFound(id=filters.marker)
            return await self._views(connection, rows)

    async def get(self, subnet_id: str, guard: Guard) -> Subnet:
        async with self.deps.database.reading() as connection:
            return (await self._views(connection, [await self._guarded(connection, subnet_id, guard)]))[0]

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[SubnetCreate], guards: Sequence[Guard]
    ) -> Sequence[Subnet]:
        """All or none; `guards` holds one for each body."""
        owners = [owner(ctx, body.project_id, body.tenant_id) for body in bodies]
        async with self.deps.database.transaction() as tx:
            for project_id, count in sorted(Counter(owners).items()):
                await self.projects.enter(tx, project_id)
                await self.projects.check_quota(tx, project_id, "subnet", count)
            known = await self._networks(tx.connection, bodies)
            taken = {network.id: await self._cidrs(tx.connection, network.id) for network in known.values()}
            rows: list[dict[str, Any]] = []
            async for body, guard in yielding(zip(bodies, guards, strict=True)):
                row = self._row(ctx, body, guard, known.get(body.network_id), taken)
                rows.append(row | {"born": row["born"] + len(rows)})  # the first of a request is the oldest
            await resources.add(tx.connection, subnets, rows)
            hosts: list[str] = []
            for network_id in dict.fromkeys(row["network_id"] for row in rows):
                if any(row["enable_dhcp"] for row in rows if row["network_id"] == network_id):
                    await keep_port(self.deps, tx, network_id, known[network_id].project_id)
                hosts += await store.hosts_of(tx.connection, network_id)
            made = await resources.by_ids(tx.connection, subnets, [row["id"] for row in rows])
            await self.deps.announcer.changed(tx, ctx, hosts)
        external = {network_id for network_id, network in known.items() if network.external}
        found = [made[row["id"]] for row in rows]
        return [view(row, [], external=row.network_id in external) async for row in yielding(found)]

    async def _networks(self, connection: Connection, bodies: Sequence[SubnetCreate]) -> dict[str, Row]:
        """By the id that a body names it by. Locked in one order, so that two requests never wait for each other."""
        found = {
            id: await resources.get(connection, networks, id, lock=True)
            for id in sorted({b.network_id for b in bodies})
        }
        return {id: network for id, network in found.items() if network is not None}

    async def _cidrs(self, connection: Connection, network_id: str) -> Prefixes:
        return [ipaddress.IPv4Network(row.cidr) for row in await store.subnets_of(connection, [network_id], lock=True)]

    def _row(
        self, ctx: RequestContext, body: SubnetCreate, guard: Guard, network: Row | None,
        taken: dict[str, Prefixes],
    ) -> dict[str, Any]:  # fmt: skip
        """A new subnet's columns; its prefix joins those `taken` on its network."""
        row = standard(self.deps, ctx, body)
        missing = errors.NetworkNotFound(id=body.network_id)
        if network is None:
            raise missing
        target = {"project_id": row["project_id"], "tenant_id": row["project_id"]}
        guard(target | network_facts(network) | {"network:project_id": network.project_id}, missing)
        cidr = plan.new_cidr(body)
        if any(other.overlaps(cidr) for other in taken[network.id]):
            raise errors.InvalidInput(
                reason=f"Requested subnet with cidr: {cidr} for network: {network.id} overlaps with another subnet"
            )
        taken[network.id].append(cidr)
        gateway = plan.gateway(cidr, body.gateway_ip)
        return row | {
            "network_id": network.id,
            "ip_version": 4,
            "cidr": str(cidr),
            "gateway_ip": gateway,
            "enable_dhcp": body.enable_dhcp,
            "allocation_pools": plan.pools(cidr, gateway, body.allocation_pools or UNSET),
            "dns_nameservers": plan.nameservers(body.dns_nameservers or []),
            "host_routes": plan.routes(body.host_routes or []),
            "service_types": body.service_types or [],
            "next_address": 0,
            "born": int(self.deps.clock.now().timestamp() * 1_000_000),
        }

    @retried
    async def update(self, ctx: RequestContext, subnet_id: str, body: SubnetUpdate, guard: Guard) -> Subnet:
        async with self.deps.database.transaction() as tx:
            row = await self._guarded(tx.connection, subnet_id, guard, lock=True)
            await resources.change(tx.connection, subnets, subnet_id, _changes(row, body), self.deps.now())
            if body.enable_dhcp is not UNSET and body.enable_dhcp != row.enable_dhcp:
                await keep_port(self.deps, tx, row.network_id, row.project_id)
            changed = await resources.get(tx.connection, subnets, subnet_id)
            (result,) = await self._views(tx.connection, [changed or row])
            hosts = await store.hosts_of(tx.connection, row.network_id)
            await self.deps.announcer.changed(tx, ctx, hosts)
        return result

    @retried
    async def delete(self, ctx: RequestContext, subnet_id: str, guard: Guard) -> None:
        """Addresses of DHCP's port go with it; anything else keeps it."""
        async with self.deps.database.transaction() as tx:
            row = await self._guarded(tx.connection, subnet_id, guard, lock=True)
            if await store.subnet_in_use(tx.connection, subnet_id):
                raise errors.SubnetInUse(id=subnet_id)
            await resources.change(tx.connection, subnets, subnet_id, {"enable_dhcp": False}, self.deps.now())
            await keep_port(self.deps, tx, row.network_id, row.project_id)
            await port_store.take_dhcp_addresses(tx.connection, subnet_id)
            await resources.remove(tx.connection, subnets, [subnet_id])
            hosts = await store.hosts_of(tx.connection, row.network_id)
            await self.deps.announcer.changed(tx, ctx, hosts)

    async def _guarded(self, connection: Connection, subnet_id: str, guard: Guard, *, lock: bool = False) -> Row:
        """With `lock`, changes of this network's subnets are serialized."""
        missing = errors.SubnetNotFound(id=subnet_id)
        row = await resources.get(connection, subnets, subnet_id)
        if row is None:
            raise missing
        guard(facts(row, await resources.get(connection, networks, row.network_id, lock=lock)), missing)
        if lock:
            row = await resources.get(connection, subnets, subnet_id, lock=True)  # as it is now that it is our turn
        if row is None:
            raise missing
        return row

    async def _views(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Subnet]:
        tags = await resources.tags_of(connection, [row.id for row in rows])
        external = await store.external_among(connection, {row.network_id for row in rows})
        return [view(row, tags.get(row.id, []), external=row.network_id in external) for row in rows]


def _changes(row: Row, body: SubnetUpdate) -> dict[str, Any]:
    cidr = ipaddress.IPv4Network(row.cidr)
    changes: dict[str, Any] = {}
    for name in ("name", "enable_dhcp"):
        if getattr(body, name) is not UNSET:
            changes[name] = getattr(body, name)
    if body.description is not UNSET:
        changes["description"] = body.description or ""
    if body.service_types is not UNSET:
        changes["service_types"] = body.service_types or []
    if body.dns_nameservers is not UNSET:
        changes["dns_nameservers"] = plan.nameservers(body.dns_nameservers or [])
    if body.host_routes is not UNSET:
        changes["host_routes"] = plan.routes(body.host_routes or [])
    if body.gateway_ip is UNSET and body.allocation_pools is UNSET:
        return changes
    gateway = row.gateway_ip if isinstance(body.gateway_ip, UnsetType) else plan.gateway(cidr, body.gateway_ip)
    given = body.allocation_pools
    if isinstance(given, UnsetType):
        given = [Pool(start=start, end=end) for start, end in row.allocation_pools]
    changes["allocation_pools"] = plan.pools(cidr, gateway, given)
    changes["gateway_ip"] = gateway
    return changes
