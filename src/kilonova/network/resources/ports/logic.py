"""Rules of ports: reading, changing, deleting. Making them is in `port_creation`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import UNSET, UnsetType

from kilonova.core.addresses import parse_address
from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Row, Transaction, retried
from kilonova.network import errors
from kilonova.network.agent.model import bridge_name, tap_name
from kilonova.network.hosts import overlay
from kilonova.network.ipam.addresses import Allocator, Want, text_of
from kilonova.network.ipam.dhcp_port import OWNER as DHCP
from kilonova.network.ipam.dhcp_port import keep_port
from kilonova.network.projects import Projects
from kilonova.network.resources.base.logic import Deps, Guard, facts, shown
from kilonova.network.resources.base.schemas import Filters
from kilonova.network.resources.ports import rules
from kilonova.network.resources.ports.schemas import AddressPair, FixedIP, Port, PortUpdate
from kilonova.network.store import ports as store
from kilonova.network.store import resources
from kilonova.network.store import security_groups as group_store
from kilonova.network.tables import networks, ports

SHOWN = (
    "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner", "port_security_enabled",
    "vnic_type", "dns_name", "host_id", "profile",
)  # fmt: skip
MAX_PARTS = 64
TEXTS = ("name", "description", "device_id", "device_owner", "host_id")


def view(row: Row, addresses: Sequence[Any], groups: Sequence[str], tags: Sequence[str]) -> Port:
    """`addresses` have subnet_id and ip_address."""
    return Port(
        **shown(row, tags),
        **{name: getattr(row, name) for name in SHOWN},
        fixed_ips=[FixedIP(subnet_id=a.subnet_id, ip_address=a.ip_address) for a in addresses],
        security_groups=list(groups),
        allowed_address_pairs=[AddressPair(ip_address=ip, mac_address=mac) for ip, mac in row.allowed_address_pairs],
        **binding(row),
    )


def binding(row: Row) -> dict[str, Any]:
    """`vif_type` and `vif_details`: what compute must know to plug a bound port."""
    if not row.host_id:
        return {"vif_type": "unbound", "vif_details": {}}
    names = {"bridge_name": bridge_name(row.network_id), "tap_name": tap_name(row.id)}
    return {"vif_type": "bridge", "vif_details": {"port_filter": True, "connectivity": "l2"} | names}


class PortLogic:
    def __init__(self, deps: Deps, projects: Projects) -> None:
        self.deps, self.projects = deps, projects

    async def list(self, filters: Filters, project_id: str | None) -> Sequence[Port]:
        """Ports that a project sees; all of them for None. Four statements, however many ports."""
        where = resources.conditions(ports, filters.filters)
        if project_id is not None:
            where.append(store.seen_by(project_id))
        if "security_groups" in filters.filters:
            where.append(store.with_group(filters.filters["security_groups"]))
        for key, values in _address_filters(filters.filters.get("fixed_ips", [])).items():
            where.append(store.with_address(key, values))
        async with self.deps.database.reading() as connection:
            rows = await resources.page(connection, ports, where, filters)
            if rows is None:
                raise errors.PortNotFound(id=filters.marker)
            return await self.views(connection, rows)

    async def get(self, port_id: str, guard: Guard) -> Port:
        async with self.deps.database.reading() as connection:
            row, _ = await self._guarded(connection, port_id, guard)
            return (await self.views(connection, [row]))[0]

    async def views(self, connection: Connection, rows: Sequence[Row]) -> Sequence[Port]:
        ids = [row.id for row in rows]
        addresses = await store.addresses_of(connection, ids)
        groups = await store.groups_of(connection, ids)
        tags = await resources.tags_of(connection, ids)
        return [view(row, addresses.get(row.id, []), groups.get(row.id, []), tags.get(row.id, [])) for row in rows]

    @retried
    async def update(self, ctx: RequestContext, port_id: str, body: PortUpdate, guard: Guard) -> Port:
        async with self.deps.database.transaction() as tx:
            row, network = await self._guarded(tx.connection, port_id, guard, body.device_owner or "", lock=True)
            changes = await self._changes(tx, row, body)
            moves = changes.get("host_id", row.host_id) != row.host_id
            tunnelled = await overlay.lock(tx.connection, [network]) if moves else []
            before = await self._change_groups(tx, ctx, row, body, changes)
            readdressed = await self._change_addresses(tx, row, body)
            await resources.change(tx.connection, ports, port_id, changes, self.deps.now())
            after = (await store.groups_of(tx.connection, [port_id])).get(port_id, [])
            hosts, also = {row.host_id, changes.get("host_id", "")}, set[str]()
            regrouped = set(after) != set(before)
            if readdressed or regrouped:
                groups = [*before, *after]
                also.update(await group_store.hosts_with(tx.connection, groups, self.deps.alive_since()))
            bound = Counter({(network.id, row.host_id): -1, (network.id, changes.get("host_id", "")): 1})
            also |= await overlay.hosts_to_notify(tx.connection, tunnelled, bound, moved=True)
            changed = await resources.get(tx.connection, ports, port_id) or row
            (result,) = await self.views(tx.connection, [changed])
            if changed.host_id and (readdressed or regrouped or "mac_address" in changes):
                await self.deps.announcer.events(tx, ctx, rules.server_events("network-changed", [changed]))
            await self.deps.announcer.changed(tx, ctx, hosts, [port_id], also=also)
        return result

    async def _changes(self, tx: Transaction, row: Row, body: PortUpdate) -> dict[str, Any]:
        """The new values of plain columns."""
        changes: dict[str, Any] = {n: getattr(body, n) or "" for n in TEXTS if getattr(body, n) is not UNSET}
        for name in ("admin_state_up", "port_security_enabled", "dns_name", "vnic_type"):
            if getattr(body, name) is not UNSET:
                changes[name] = getattr(body, name)
        if body.profile is not UNSET:
            changes["profile"] = body.profile or {}
        rules.check_vnic_type(changes.get("vnic_type", "normal"))
        if changes.get("host_id", row.host_id) != row.host_id:
            changes["status"] = "DOWN"
        if not isinstance(body.mac_address, UnsetType) and (mac := rules.mac(body.mac_address)) != row.mac_address:
            if row.host_id:
                bound_as = binding(row)["vif_type"]
                raise errors.PortBound(id=row.id, vif_type=bound_as, old_mac=row.mac_address, new_mac=mac)
            if await store.macs_taken(tx.connection, [(row.network_id, mac)], [row.id]):
                raise errors.MacAddressInUse(network_id=row.network_id, mac=mac)
            changes["mac_address"] = mac
        if body.allowed_address_pairs is not UNSET:
            own = changes.get("mac_address", row.mac_address)
            changes["allowed_address_pairs"] = rules.pairs(body.allowed_address_pairs, own)
        return changes

    async def _change_groups(
        self, tx: Transaction, ctx: RequestContext, row: Row, body: PortUpdate, changes: dict[str, Any]
    ) -> Sequence[str]:
        """Set the groups that were asked for; those the port had. Port security without any group begins with the default one."""
        had = (await store.groups_of(tx.connection, [row.id])).get(row.id, [])
        enabled = changes.get("port_security_enabled", row.port_security_enabled)
        given = not isinstance(body.security_groups, UnsetType)
        wanted: Sequence[str] = had if isinstance(body.security_groups, UnsetType) else body.security_groups or []
        if enabled and not row.port_security_enabled and not given and not had:
            wanted = [await self.projects.enter(tx, row.project_id)]
        pairs = changes.get("allowed_address_pairs", row.allowed_address_pairs)
        rules.check_security(enabled=enabled, groups=wanted, pairs=pairs, groups_given=given)
        wanted = list(dict.fromkeys(wanted))
        if set(wanted) != set(had):
            await rules.check_groups(tx.connection, ctx, row.project_id, wanted)
            await store.set_groups(tx.connection, row.id, wanted)
        return had

    async def _change_addresses(self, tx: Transaction, row: Row, body: PortUpdate) -> bool:
        """Make the port have the addresses asked for, keeping those it has that fit; whether anything changed."""
        if isinstance(body.fixed_ips, UnsetType):
            return False
        have = list((await store.addresses_of(tx.connection, [row.id])).get(row.id, []))
        new: list[Want] = []
        kept: list[Any] = []
        for want in sorted(rules.wants(body.fixed_ips, has_subnets=False), key=lambda w: w.address is None):
            match = next((a for a in have if _satisfies(a, want)), None)
            if match is None:
                new.append(want)
            else:
                have.remove(match)
                kept.append(match)
        if have:
            await store.take_address(tx.connection, row.id, [a.ip_address for a in have])
        if new:
            allocator = await Allocator.on(tx.connection, [row.network_id])
            await allocator.give(row.network_id, [(row.id, want) for want in new])
            await allocator.save()
        return bool(have or new)

    @retried
    async def delete(self, ctx: RequestContext, port_id: str, guard: Guard) -> None:
        async with self.deps.database.transaction() as tx:
            row, network = await self._guarded(tx.connection, port_id, guard, lock=True)
            tunnelled = await overlay.lock(tx.connection, [network]) if row.host_id else []
            groups = group_store.groups_of_port(port_id)
            also = {*await group_store.hosts_with(tx.connection, groups, self.deps.alive_since())}
            await resources.remove(tx.connection, ports, [port_id])
            left = Counter({(network.id, row.host_id): -1})
            also |= await overlay.hosts_to_notify(tx.connection, tunnelled, left, moved=False)
            if row.device_owner == DHCP:
                await keep_port(self.deps, tx, row.network_id, row.project_id)
            if row.host_id and "service" not in ctx.roles:  # compute knows its own doing
                await self.deps.announcer.events(tx, ctx, rules.server_events("network-vif-deleted", [row]))
            await self.deps.announcer.changed(tx, ctx, [row.host_id], [port_id], also=also)

    async def _guarded(
        self, connection: Connection, port_id: str, guard: Guard, device_owner: str = "", *, lock: bool = False
    ) -> tuple[Row, Row]:
        """A port and its network, for callers that may see it."""
        missing = errors.PortNotFound(id=port_id)
        row = await resources.get(connection, ports, port_id, lock=lock)
        if row is None:
            raise missing
        network = (await resources.by_ids(connection, networks, [row.network_id]))[row.network_id]
        # the port's project counts, not that its network is shared
        target = facts(row, network) | {"shared": False, "router:external": False}
        guard(target | {"network_device": device_owner.startswith("network:")}, missing)
        return row, network


def _satisfies(address: Any, want: Want) -> bool:
    if want.subnet_id is not None and address.subnet_id != want.subnet_id:
        return False
    return want.address is None or address.ip_address == text_of(want.address)


def _part_of_address(text: str) -> str:
    if not re.fullmatch(r"[0-9A-Fa-f:.]*", text):
        raise ValueError(f"{text!r} is no part of an IP address")
    return text


ADDRESS_FILTERS: dict[str, Callable[[str], str]] = {
    "subnet_id": str,
    "ip_address": lambda text: str(parse_address(text)),
    "ip_address_substr": _part_of_address,
}


def _address_filters(texts: Sequence[Any]) -> dict[str, list[str]]:
    """`ip_address=10.0.0.5` and the like, by key."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        key, _, value = str(text).partition("=")
        try:
            found[key].append(ADDRESS_FILTERS[key](value))
        except KeyError:
            raise errors.HTTPBadRequest(reason=f"Invalid input for fixed_ips. Reason: '{text}' is no filter.") from None
        except ValueError as error:
            raise errors.HTTPBadRequest(reason=f"Invalid input for fixed_ips. Reason: {error}.") from None
    if len(found["ip_address_substr"]) > MAX_PARTS:  # each is a condition of its own
        raise errors.HTTPBadRequest(
            reason=f"Invalid input for fixed_ips. Reason: more than {MAX_PARTS} parts of addresses."
        )
    return {key: values for key, values in found.items() if values}
