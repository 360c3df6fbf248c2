"""Rules of networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.core.yielding import yielding
from kilonova.network import errors
from kilonova.network.hosts import overlay
from kilonova.network.hosts.news import News
from kilonova.network.hosts.overlay import VXLAN
from kilonova.network.names import dns_domain
from kilonova.network.resources.base.columns import changes_of, shown, standard
from kilonova.network.resources.base.facts import Facts, facts, network_facts
from kilonova.network.resources.base.logic import Logic
from kilonova.network.resources.base.zones import check_hints
from kilonova.network.resources.networks.schemas import Network, NetworkCreate, NetworkUpdate, SharedNetwork
from kilonova.network.resources.qos_policies.use import check_change, check_named
from kilonova.network.resources.rbac_policies import sharing
from kilonova.network.resources.routers.errors import ExternalNetworkInUse
from kilonova.network.resources.subnets.plan import LEAST_MTU
from kilonova.network.store import floating_ips as floating_store
from kilonova.network.store import networks as store
from kilonova.network.store import qos_policies as qos_store
from kilonova.network.store import rbac_policies as rbac_store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.floating_ips import FLOATING_IPS
from kilonova.network.store.networks import NetworkRow
from kilonova.network.store.ports import PORTS
from kilonova.network.store.rbac_policies import EVERYONE, SHARED
from kilonova.network.store.routers import gateway_owners
from kilonova.network.store.subnets import PlacedRow
from kilonova.network.store.tags import Condition

FLAT = "flat"
TYPES = ("local", VXLAN, FLAT)
PLAIN = ("admin_state_up", "shared", "external", "is_default", "port_security_enabled")
SHOWN = (
    *PLAIN, "dns_domain", "status", "mtu", "availability_zone_hints", "network_type", "physical_network", "segmentation_id",
    "qos_policy_id",
)  # fmt: skip


def view(row: NetworkRow, subnets: Sequence[PlacedRow], tags: Sequence[str], zone: str) -> Network:
    values: dict[str, Any] = {name: getattr(row, name) for name in SHOWN}
    zones = [zone] if subnets else []
    values |= shown(row, tags) | {"subnets": [subnet.id for subnet in subnets], "availability_zones": zones}
    values |= {
        f"ipv{subnet.ip_version}_address_scope": subnet.address_scope_id
        for subnet in subnets
        if subnet.address_scope_id
    }
    return sharing.shared_view(Network, SharedNetwork, values, row.shared_with)


def default_of(is_default: bool, external: bool) -> dict[str, Any]:
    """The columns; only an external network is a default one."""
    return {"is_default": is_default and external, "default_external": 1 if is_default and external else None}


async def check_default(connection: Connection, new: Sequence[str]) -> None:
    """One network, of those there are and the ids of new ones, is the default external one."""
    held = await store.default_external(connection) if new else None
    if held is not None or len(new) > 1:
        raise errors.DefaultExternalNetworkExists(id=held.id if held is not None else new[0])


class NetworkLogic(Logic[NetworkRow, Network]):
    objects = store.NETWORKS
    missing = errors.NetworkNotFound

    def seen_by(self, project_id: str) -> Condition:
        return store.seen_by(project_id)

    def conditions(self, filters: Mapping[str, Sequence[Any]]) -> list[Condition]:
        return sharing.conditions(self.objects, "network", filters)

    def facts(self, row: NetworkRow) -> Facts:
        return facts(row) | network_facts(row)

    async def views(self, connection: Connection, rows: Sequence[NetworkRow]) -> Sequence[Network]:
        ids = [row.id for row in rows]
        subnets, tags = await subnet_store.with_scopes(connection, ids), await tag_store.tags_of(connection, ids)
        zone = self.deps.options.availability_zone
        return [view(row, subnets.get(row.id, []), tags.get(row.id, []), zone) for row in rows]

    async def new_views(self, connection: Connection, rows: Sequence[NetworkRow]) -> Sequence[Network]:
        zone = self.deps.options.availability_zone
        return [view(row, [], [], zone) async for row in yielding(rows)]

    async def adding(self, tx: Transaction, ctx: RequestContext, rows: Sequence[dict[str, Any]]) -> None:
        """A network whose request names no QoS policy has its project's default one."""
        await check_named(tx.connection, ctx, [row["qos_policy_id"] for row in rows])
        await check_hints(self.deps, tx.connection, (hint for row in rows for hint in row["availability_zone_hints"]))
        free = [row for row in rows if row["qos_policy_id"] is None]
        defaults = await qos_store.defaults(tx.connection, {row["project_id"] for row in free})
        for row in free:
            row["qos_policy_id"] = defaults.get(row["project_id"])

    async def add(self, tx: Transaction, rows: Sequence[dict[str, Any]]) -> None:
        flat = [row["physical_network"] for row in rows if row["network_type"] == FLAT]
        used = await store.physical_taken(tx.connection, flat) if flat else set()
        used |= {name for name, count in Counter(flat).items() if count > 1}
        if used:
            raise errors.FlatNetworkInUse(physical_network=min(used))
        await self._segment(tx.connection, rows)
        await check_default(tx.connection, [row["id"] for row in rows if row["default_external"]])
        await super().add(tx, rows)
        await sharing.publish(self.deps, tx, "network", rows)

    async def changes(self, tx: Transaction, row: NetworkRow, body: NetworkUpdate) -> dict[str, Any]:
        changes = changes_of(body)
        if "mtu" in changes:
            self._check_mtu(changes["mtu"], row.network_type)
            changes["mtu"] = changes["mtu"] or self._largest_mtu(row.network_type)
            least = max(
                (LEAST_MTU[version] for version in await subnet_store.versions_on(tx.connection, row.id)), default=0
            )
            if changes["mtu"] < least:
                raise errors.NetworkMTUSubnetConflict(id=row.id, mtu=least)
        if "dns_domain" in changes:
            changes["dns_domain"] = dns_domain(changes["dns_domain"])
        shared = changes.get("shared", row.shared)
        if shared != row.shared:
            left = [one for one in row.shared_with if one != EVERYONE]
            changes["shared_with"] = [*left, EVERYONE] if shared else left
            if not shared and await sharing.NETWORK.users(tx.connection, row, SHARED, left):
                raise errors.InvalidSharedSetting(id=row.id)
        if row.external and changes.get("external") is False and await gateway_owners(tx.connection, row.id):
            raise ExternalNetworkInUse(id=row.id)
        if changes.get("external", row.external) != row.external:
            changes["external_to"] = [EVERYONE] if changes["external"] else []
        changes |= default_of(changes.get("is_default", row.is_default), changes.get("external", row.external))
        if changes["default_external"] is not None and row.default_external is None:
            await check_default(tx.connection, [row.id])
        return changes

    async def changed(self, tx: Transaction, ctx: RequestContext, row: NetworkRow, changes: Mapping[str, Any]) -> None:
        await sharing.follow(self.deps, tx, "network", row, changes)
        await check_change(tx.connection, ctx, row.qos_policy_id, changes.get("qos_policy_id", row.qos_policy_id))
        seen = {"mtu", "dns_domain", "qos_policy_id"} & changes.keys()  # by hosts
        hosts = await store.hosts_of(tx.connection, row.id) if seen else []
        await self.deps.announcer.changed(tx, ctx, hosts, news=News(networks=(row.id,)))

    async def removing(self, tx: Transaction, ctx: RequestContext, row: NetworkRow) -> None:
        """Its subnets, DHCP's port and the floating IPs that lead nowhere go with it; anything else on it keeps it."""
        if row.external:
            loose = await floating_store.leading_nowhere(tx.connection, row.id)
            await FLOATING_IPS.remove(tx.connection, [one.id for one in loose])
            await PORTS.remove(tx.connection, [one.floating_port_id for one in loose])
        used_by = await store.ports_in_use(tx.connection, row.id)
        if used_by:
            raise errors.NetworkInUse(id=row.id, ports=", ".join(used_by))
        subnets = (await subnet_store.ids_of(tx.connection, [row.id])).get(row.id, [])
        await store.delete_dhcp_ports(tx.connection, row.id)
        await rbac_store.remove_all(tx.connection, row.id)
        await subnet_store.SUBNETS.remove(tx.connection, subnets)

    def new(self, ctx: RequestContext, body: NetworkCreate) -> dict[str, Any]:
        kind = body.network_type or self.deps.options.network_type
        if kind not in TYPES:
            raise errors.InvalidInput(
                reason=f"provider:network_type {kind!r} is not supported, only {', '.join(map(repr, TYPES))} are"
            )
        if kind == FLAT and not body.physical_network:
            raise errors.InvalidInput(reason="physical_network required for flat provider network")
        if kind != FLAT and body.physical_network is not None:
            raise errors.InvalidInput(reason=f"a network of type {kind!r} has no physical network")
        if body.segmentation_id is not None and (kind != VXLAN or body.network_type is None):
            raise errors.InvalidInput(reason="a segmentation id needs provider:network_type 'vxlan'")
        self._check_mtu(body.mtu, kind)
        return (
            standard(self.deps, ctx, body)
            | {name: getattr(body, name) for name in PLAIN}
            | {
                "shared_with": [EVERYONE] if body.shared else [],
                "external_to": [EVERYONE] if body.external else [],
                **default_of(body.is_default, body.external),
                "mtu": body.mtu or self._largest_mtu(kind),
                "status": "ACTIVE",
                "network_type": kind,
                "physical_network": body.physical_network,
                "dns_domain": dns_domain(body.dns_domain),
                "segmentation_id": body.segmentation_id,
                "availability_zone_hints": body.availability_zone_hints,
                "qos_policy_id": body.qos_policy_id,
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
