"""Rules of ports: reading, changing, deleting. Making them is in `creation.py`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction, retried
from kilonova.network import device_owners, errors
from kilonova.network.hosts import overlay, subports
from kilonova.network.hosts.news import News
from kilonova.network.ipam.dhcp_port import keep_port
from kilonova.network.ipam.ranges import automatic
from kilonova.network.ipam.readdress import readdress
from kilonova.network.ipam.service_ports import mac_address
from kilonova.network.names import dns_domain, dns_name
from kilonova.network.resources.base.facts import Guard, facts
from kilonova.network.resources.base.logic import ReadLogic
from kilonova.network.resources.ports import plan, routed
from kilonova.network.resources.ports.creation import create
from kilonova.network.resources.ports.filters import Conditions, conditions
from kilonova.network.resources.ports.schemas import FixedIPIn, Port, PortCreate, PortUpdate
from kilonova.network.resources.ports.views import binding, views
from kilonova.network.resources.qos_policies.use import check_change
from kilonova.network.resources.trunks.errors import PortInUseAsSubPort, PortInUseAsTrunkParent
from kilonova.network.store import networks as network_store
from kilonova.network.store import ports as store
from kilonova.network.store import security_groups as group_store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.ports import PORTS, LedToRow, PolicedPortRow, PortRow
from kilonova.network.store.tags import Condition

TEXTS = ("name", "description", "device_id", "device_owner", "host_id")


class PortLogic(ReadLogic[PolicedPortRow, Port]):
    objects = PORTS
    missing = errors.PortNotFound

    def seen_by(self, project_id: str) -> Condition:
        return store.seen_by(project_id)

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> Conditions:
        return [*super().conditions(filters), *conditions(filters)]

    async def views(self, connection: Connection, rows: Sequence[PolicedPortRow]) -> Sequence[Port]:
        return await views(connection, rows, self.deps.options.dns_domain)

    async def create(
        self, ctx: RequestContext, bodies: Sequence[PortCreate], guards: Sequence[Guard]
    ) -> Sequence[Port]:
        return await create(self.deps, ctx, bodies, guards)

    @retried
    async def update(self, ctx: RequestContext, port_id: str, body: PortUpdate, guard: Guard) -> Port:
        async with self.deps.database.transaction() as tx:
            row, network = await self._with_network(tx.connection, port_id, guard, body.device_owner or "", lock=True)
            changes = await self._changes(tx, row, body)
            await check_change(tx.connection, ctx, row.qos_policy_id, changes.get("qos_policy_id", row.qos_policy_id))
            moves = changes.get("host_id", row.host_id) != row.host_id
            tunnelled = await overlay.lock(tx.connection, [network]) if moves else []
            before = await self._change_groups(tx, ctx, row, body, changes)
            own_mac = changes.get("mac_address", row.mac_address)
            readdressed, routing = await self._change_addresses(tx, row, body, own_mac)
            await PORTS.change(tx.connection, port_id, changes, self.deps.now())
            after = (await store.groups_of(tx.connection, [port_id])).get(port_id, [])
            coming = changes.get("coming_host_id", row.coming_host_id)
            hosts, also = {row.host_id, changes.get("host_id", ""), row.coming_host_id, coming}, routing
            regrouped = set(after) != set(before)
            if readdressed or regrouped:
                groups = [*before, *after]
                also.update(await group_store.hosts_with(tx.connection, groups, self.deps.alive_since()))
            bound = Counter({(network.id, row.host_id): -1, (network.id, changes.get("host_id", "")): 1})
            joined = await overlay.hosts_to_notify(tx.connection, tunnelled, bound, moved=True)
            changed = await PORTS.get(tx.connection, port_id) or row
            (result,) = await self.views(tx.connection, [changed])
            if changed.host_id and (readdressed or regrouped or "mac_address" in changes):
                await self.deps.announcer.events(tx, ctx, plan.server_events("network-changed", [changed]))
            joined |= await self._served(tx.connection, row)
            renewed = {network.id} if joined or coming != row.coming_host_id else ()
            news: News | None = plan.news([row], renewed, others=bool(routing))
            if moves and row.coming_host_id:  # while its guest was coming, the host was not told of its groups' changes
                news = None
            await self.deps.announcer.changed(tx, ctx, hosts, [port_id], also=also | joined, news=news)
            if moves:
                await subports.follow(self.deps, tx, ctx, row, changed.host_id)
        return result

    async def _changes(self, tx: Transaction, row: PortRow, body: PortUpdate) -> dict[str, Any]:
        """The new values of plain columns."""
        changes: dict[str, Any] = {n: getattr(body, n) or "" for n in TEXTS if getattr(body, n) is not UNSET}
        for name in ("admin_state_up", "port_security_enabled", "vnic_type", "qos_policy_id"):
            if getattr(body, name) is not UNSET:
                changes[name] = getattr(body, name)
        if not isinstance(body.profile, UnsetType):
            changes |= plan.profile(body.profile or {})
        plan.check_vnic_type(changes.get("vnic_type", "normal"))
        changes |= plan.bound(row, changes)
        mac = row.mac_address if isinstance(body.mac_address, UnsetType) else self._mac(body.mac_address)
        if mac != row.mac_address:
            if row.host_id:
                bound_as = binding(row)["vif_type"]
                raise errors.PortBound(id=row.id, vif_type=bound_as, old_mac=row.mac_address, new_mac=mac)
            named = body.mac_address is not None
            if named and await store.macs_taken(tx.connection, [(row.network_id, mac)], [row.id]):
                raise errors.MacAddressInUse(network_id=row.network_id, mac=mac)
            changes["mac_address"] = mac
        if not isinstance(body.dns_name, UnsetType):
            changes["dns_name"] = dns_name(body.dns_name, self.deps.options.dns_domain)
        if not isinstance(body.dns_domain, UnsetType):
            changes["dns_domain"] = dns_domain(body.dns_domain)
        if body.extra_dhcp_opts is not UNSET:
            changes["extra_dhcp_opts"] = plan.dhcp_opts(body.extra_dhcp_opts, row.extra_dhcp_opts)
        if body.allowed_address_pairs is not UNSET:
            own = changes.get("mac_address", row.mac_address)
            changes["allowed_address_pairs"] = plan.pairs(body.allowed_address_pairs, own)
        return changes

    def _mac(self, asked: str | None) -> str:
        """A new one of the cloud's where none is named; should it be taken, the change is made again."""
        return plan.mac(asked) if asked is not None else mac_address(self.deps)

    async def _change_groups(
        self, tx: Transaction, ctx: RequestContext, row: PortRow, body: PortUpdate, changes: dict[str, Any]
    ) -> Sequence[str]:
        """Set the groups that were asked for; those the port had. Switching port security on brings none, as upstream."""
        had = (await store.groups_of(tx.connection, [row.id])).get(row.id, [])
        enabled = changes.get("port_security_enabled", row.port_security_enabled)
        given = not isinstance(body.security_groups, UnsetType)
        wanted = had if isinstance(body.security_groups, UnsetType) else plan.groups_once(body.security_groups or [])
        pairs = changes.get("allowed_address_pairs", row.allowed_address_pairs)
        plan.check_security(enabled=enabled, groups=wanted, pairs=pairs, groups_given=given)
        if set(wanted) != set(had):
            plan.check_alike(wanted, await plan.check_groups(tx.connection, ctx, row.project_id, wanted))
            await store.set_groups(tx.connection, row.id, wanted)
        return had

    async def _change_addresses(
        self, tx: Transaction, row: LedToRow, body: PortUpdate, mac: str
    ) -> tuple[bool, set[str]]:
        """Make the port have the addresses asked for, keeping those it has that fit, and those of its MAC; whether anything
        changed, and the hosts of routers that led to what is gone."""
        if isinstance(body.fixed_ips, UnsetType) and mac == row.mac_address:
            return False, set()
        subnets, asked = await subnet_store.of_networks(tx.connection, [row.network_id]), body.fixed_ips
        if isinstance(asked, UnsetType):
            own = {subnet.id for subnet in subnets if automatic(subnet)}
            held = (await store.addresses_of(tx.connection, [row.id])).get(row.id, [])
            asked = [FixedIPIn(a.subnet_id, a.ip_address) for a in held if a.subnet_id not in own]
        wants = plan.wants(asked, subnets, mac, row.device_owner)
        taken, changed = await readdress(tx.connection, row, wants)
        return changed, await routed.lose(self.deps, tx, row, taken) if taken else set()

    @retried
    async def delete(self, ctx: RequestContext, port_id: str, guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            row, network = await self._with_network(tx.connection, port_id, guard, lock=True)
            _check_carried(row)
            tunnelled = await overlay.lock(tx.connection, [network]) if row.host_id else []
            groups = group_store.groups_of_port(port_id)
            also = {*await group_store.hosts_with(tx.connection, groups, self.deps.alive_since())}
            routing = await routed.leave(self.deps, tx, row)
            await PORTS.remove(tx.connection, [port_id])
            left = Counter({(network.id, row.host_id): -1})
            left_by = await overlay.hosts_to_notify(tx.connection, tunnelled, left, moved=False)
            if row.device_owner == device_owners.DHCP:
                await keep_port(self.deps, tx, row.network_id, row.project_id)
            if row.host_id and "service" not in ctx.roles:  # compute knows its own doing
                await self.deps.announcer.events(tx, ctx, plan.server_events("network-vif-deleted", [row]))
            left_by |= await self._served(tx.connection, row)
            news = plan.news([row], {network.id} if left_by else (), others=bool(routing))
            also |= routing | left_by
            hosts = [row.host_id, row.coming_host_id]
            await self.deps.announcer.changed(tx, ctx, hosts, [port_id], also=also, news=news)

    async def _served(self, connection: Connection, row: PortRow) -> set[str]:
        """The hosts with a DHCP server that has this port."""
        if row.device_owner != device_owners.DHCP:
            return set()
        return {*await network_store.hosts_of(connection, row.network_id)}

    async def guarded(
        self, connection: Connection, port_id: str, guard: Guard, *, lock: bool = False
    ) -> PolicedPortRow:
        return (await self._with_network(connection, port_id, guard, lock=lock))[0]

    async def _with_network(
        self, connection: Connection, port_id: str, guard: Guard, device_owner: str = "", *, lock: bool = False
    ) -> tuple[LedToRow, NetworkRow]:
        """A port and its network, for callers that may see it."""
        missing = errors.PortNotFound(id=port_id)
        row = await store.get(connection, port_id, lock=lock)
        if row is None:
            raise missing
        network = (await NETWORKS.by_ids(connection, [row.network_id]))[row.network_id]
        # the port's project counts, not that its network is shared
        target = facts(row, network) | {"shared": False, "router:external": False}
        guard(target | {"network_device": device_owner.startswith(device_owners.SERVICES)}, missing)
        return row, network


def _check_carried(row: PortRow) -> None:
    if row.subport_of is not None:
        raise PortInUseAsSubPort(port_id=row.id, id=row.subport_of)
    if row.trunk_id is not None:
        raise PortInUseAsTrunkParent(port_id=row.id, id=row.trunk_id)
