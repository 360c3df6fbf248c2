"""Rules of subnets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.addresses import IPNetwork, parse_network
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.hosts.news import News
from kilonova.network.ipam.dhcp_port import keep_port
from kilonova.network.ipam.ranges import automatic
from kilonova.network.projects import make_room
from kilonova.network.resources.base.columns import changes_of, owner, shown, standard
from kilonova.network.resources.base.facts import Guard, Seeing, facts, owned_by, within
from kilonova.network.resources.base.logic import ChangingLogic
from kilonova.network.resources.rbac_policies import sharing
from kilonova.network.resources.subnets import plan
from kilonova.network.resources.subnets.automatic import give_all, take_all
from kilonova.network.resources.subnets.pools import Pools, pool_of
from kilonova.network.resources.subnets.schemas import HostRoute, Pool, Subnet, SubnetCreate, SubnetUpdate
from kilonova.network.store import networks as network_store
from kilonova.network.store import ports as port_store
from kilonova.network.store import subnets as store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.subnets import SUBNETS, SubnetRow
from kilonova.network.store.tags import Condition

OF_NETWORKS = {"external", "shared", "shared_to"}
SHOWN = (
    "network_id", "subnetpool_id", "ip_version", "cidr", "gateway_ip", "enable_dhcp", "dns_nameservers", "service_types",
    "ipv6_ra_mode", "ipv6_address_mode",
)  # fmt: skip


def view(row: SubnetRow, tags: Sequence[str], *, external: bool) -> Subnet:
    return Subnet(
        **shown(row, tags),
        **{name: getattr(row, name) for name in SHOWN},
        allocation_pools=[Pool(start=start, end=end) for start, end in row.allocation_pools],
        host_routes=[HostRoute(destination=to, nexthop=via) for to, via in row.host_routes],
        external=external,
    )


class SubnetLogic(ChangingLogic[SubnetRow, Subnet]):
    objects = SUBNETS
    missing = errors.SubnetNotFound

    def seen_by(self, project_id: str) -> Condition:
        return store.seen_by(project_id)

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> list[Condition]:
        """Whether a subnet is external or shared is its network's."""
        found = super().conditions({name: values for name, values in filters.items() if name not in OF_NETWORKS})
        external = set(filters.get("external", ()))
        found += [store.on_external(external=one) for one in external if len(external) == 1]
        return [*found, *sharing.shared(SUBNETS.column("network_id"), "network", filters)]

    async def views(self, connection: Connection, rows: Sequence[SubnetRow]) -> Sequence[Subnet]:
        tags = await tag_store.tags_of(connection, [row.id for row in rows])
        external = await network_store.external_among(connection, {row.network_id for row in rows})
        return [view(row, tags.get(row.id, []), external=row.network_id in external) for row in rows]

    async def changes(self, tx: Transaction, row: SubnetRow, body: SubnetUpdate) -> dict[str, Any]:
        changes = _changes(row, body)
        if changes.get("gateway_ip", row.gateway_ip) != row.gateway_ip and row.gateway_ip is not None:
            held = await port_store.of_router(tx.connection, row.id, row.gateway_ip)
            if held is not None:
                raise errors.GatewayIpInUse(ip_address=row.gateway_ip, port_id=held)
        return changes

    async def changed(self, tx: Transaction, ctx: RequestContext, row: SubnetRow, changes: Mapping[str, Any]) -> None:
        if changes.get("enable_dhcp", row.enable_dhcp) != row.enable_dhcp:
            await keep_port(self.deps, tx, row.network_id, row.project_id)
        await self._notify(tx, ctx, row)

    async def removing(self, tx: Transaction, ctx: RequestContext, row: SubnetRow) -> None:
        """Addresses of DHCP's port go with it; anything else keeps it."""
        if await store.in_use(tx.connection, row.id, automatic=automatic(row)):
            raise errors.SubnetInUse(id=row.id)
        await SUBNETS.change(tx.connection, row.id, {"enable_dhcp": False}, self.deps.now())
        await keep_port(self.deps, tx, row.network_id, row.project_id)
        if automatic(row):
            await take_all(self.deps, tx, ctx, row.id)
        await port_store.take_dhcp_addresses(tx.connection, row.id)
        await self._notify(tx, ctx, row)

    async def _notify(self, tx: Transaction, ctx: RequestContext, row: SubnetRow) -> None:
        """The network has its next revision, and its hosts get a message."""
        await NETWORKS.change(tx.connection, row.network_id, {}, self.deps.now())
        hosts = await network_store.hosts_of(tx.connection, row.network_id)
        await self.deps.announcer.changed(tx, ctx, hosts, news=News(networks=(row.network_id,), others=True))

    @retried
    async def create(
        self, ctx: RequestContext, bodies: Sequence[SubnetCreate], guards: Sequence[Guard], seeing: Seeing
    ) -> Sequence[Subnet]:
        """All or none; `guards` holds one for each body."""
        owners = [owner(ctx, body) for body in bodies]
        async with self.deps.database.transaction() as tx:
            await make_room(self.deps, tx, owners, {SUBNETS: 1})
            known = await self._networks(tx.connection, bodies)
            for body, project_id, guard in zip(bodies, owners, guards, strict=True):
                _check_network(known, body.network_id, project_id, guard)
            found = await self.add(tx, ctx, bodies, known, seeing)
        external = {network_id for network_id, network in known.items() if network.external}
        return [view(row, [], external=row.network_id in external) async for row in yielding(found)]

    async def add(
        self, tx: Transaction, ctx: RequestContext, bodies: Sequence[SubnetCreate], known: Mapping[str, NetworkRow],
        seeing: Seeing,
    ) -> Sequence[SubnetRow]:  # fmt: skip
        """New subnets on networks that are locked, by the id that a body names."""
        held = {
            network.id: await store.of_networks(tx.connection, [network.id], lock=True) for network in known.values()
        }
        taken = {network_id: [parse_network(row.cidr) for row in subnets] for network_id, subnets in held.items()}
        cidrs = [plan.given_cidr(body) async for body in yielding(bodies)]
        wanted = [await pool_of(tx.connection, body, seeing) for body in bodies]
        pools = await Pools.of(tx.connection, wanted, held)
        rows: list[dict[str, Any]] = []
        async for body, pool_id, cidr in yielding(zip(bodies, wanted, cidrs, strict=True)):
            network = known[body.network_id]
            new = pools.take(network, body, owner(ctx, body), pool_id, cidr)
            row = self._row(ctx, body, network, new, taken[network.id]) | {"subnetpool_id": pool_id}
            rows.append(row | {"born": row["born"] + len(rows)})  # the first of a request is the oldest
        await SUBNETS.add(tx.connection, rows)
        hosts: list[str] = []
        for network_id in dict.fromkeys(row["network_id"] for row in rows):
            if any(row["enable_dhcp"] for row in rows if row["network_id"] == network_id):
                await keep_port(self.deps, tx, network_id, known[network_id].project_id)
            hosts += await network_store.hosts_of(tx.connection, network_id)
            await NETWORKS.change(tx.connection, network_id, {}, self.deps.now())
        made = await SUBNETS.by_ids(tx.connection, [row["id"] for row in rows])
        for subnet in (found for found in made.values() if automatic(found)):
            await give_all(self.deps, tx, ctx, subnet.network_id, subnet.id)
        news = News(networks=tuple({row["network_id"] for row in rows}), others=True)
        await self.deps.announcer.changed(tx, ctx, hosts, news=news)
        return [made[row["id"]] for row in rows]

    async def _networks(self, connection: Connection, bodies: Sequence[SubnetCreate]) -> dict[str, NetworkRow]:
        """By the id that a body names it by. Locked in one order, so that two requests never wait for each other."""
        found = {id: await NETWORKS.get(connection, id, lock=True) for id in sorted({b.network_id for b in bodies})}
        return {id: network for id, network in found.items() if network is not None}

    def _row(
        self, ctx: RequestContext, body: SubnetCreate, network: NetworkRow, cidr: IPNetwork, taken: list[IPNetwork]
    ) -> dict[str, Any]:
        """A new subnet's columns; its prefix joins those `taken` on its network."""
        plan.check_cidr(cidr, body)
        if network.mtu < plan.LEAST_MTU[cidr.version]:
            raise errors.NetworkMTUSubnetConflict(id=network.id, mtu=plan.LEAST_MTU[cidr.version])
        if any(other.version == cidr.version and other.overlaps(cidr) for other in taken):
            raise errors.InvalidInput(
                reason=f"Requested subnet with cidr: {cidr} for network: {network.id} overlaps with another subnet"
            )
        taken.append(cidr)
        gateway = plan.gateway(cidr, body.gateway_ip)
        return standard(self.deps, ctx, body) | {
            "network_id": network.id,
            "ip_version": cidr.version,
            "cidr": str(cidr),
            "gateway_ip": gateway,
            "enable_dhcp": body.enable_dhcp,
            "allocation_pools": plan.pools(cidr, gateway, body.allocation_pools or UNSET),
            "dns_nameservers": plan.nameservers(body.dns_nameservers or [], cidr.version),
            "host_routes": plan.routes(body.host_routes or [], cidr.version),
            "service_types": plan.service_types(body.service_types),
            "search_from": 0,
            "ipv6_ra_mode": body.ipv6_ra_mode,
            "ipv6_address_mode": body.ipv6_address_mode,
            "born": int(self.deps.clock.now().timestamp() * 1_000_000),
        }

    async def guarded(self, connection: Connection, subnet_id: str, guard: Guard, *, lock: bool = False) -> SubnetRow:
        """With `lock`, changes of this network's subnets are serialized."""
        missing = errors.SubnetNotFound(id=subnet_id)
        row = await SUBNETS.get(connection, subnet_id)
        network = await NETWORKS.get(connection, row.network_id, lock=lock) if row is not None else None
        if lock:
            row = await SUBNETS.get(connection, subnet_id, lock=True)  # as it is now that it is our turn
        if row is None:
            raise missing
        guard(facts(row, network), missing)
        return row


def _check_network(known: Mapping[str, NetworkRow], network_id: str, project_id: str, guard: Guard) -> None:
    missing = errors.NetworkNotFound(id=network_id)
    if network_id not in known:
        raise missing
    guard(owned_by(project_id) | within(known[network_id]), missing)


def _changes(row: SubnetRow, body: SubnetUpdate) -> dict[str, Any]:
    cidr = parse_network(row.cidr)
    changes = changes_of(body, ("name", "enable_dhcp", "description"))
    if body.enable_dhcp is False and (row.ipv6_ra_mode or row.ipv6_address_mode):
        raise errors.InvalidInput(reason="Cannot disable enable_dhcp with ipv6 attributes set")
    if body.service_types is not UNSET:
        changes["service_types"] = plan.service_types(body.service_types)
    if body.dns_nameservers is not UNSET:
        changes["dns_nameservers"] = plan.nameservers(body.dns_nameservers or [], cidr.version)
    if body.host_routes is not UNSET:
        changes["host_routes"] = plan.routes(body.host_routes or [], cidr.version)
    if body.gateway_ip is UNSET and body.allocation_pools is UNSET:
        return changes
    gateway = row.gateway_ip if isinstance(body.gateway_ip, UnsetType) else plan.gateway(cidr, body.gateway_ip)
    given = body.allocation_pools
    if isinstance(given, UnsetType):
        given = [Pool(start=start, end=end) for start, end in row.allocation_pools]
    changes["allocation_pools"] = plan.pools(cidr, gateway, given)
    changes["gateway_ip"] = gateway
    return changes
