"""Making ports, many at once: a fixed number of statements for any number of ports of one network and project."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from msgspec import UnsetType

from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction, retried
from kilonova.core.yielding import yielding
from kilonova.network import device_owners, errors
from kilonova.network.deps import Deps
from kilonova.network.hosts import overlay
from kilonova.network.ipam.addresses import Allocator, Want
from kilonova.network.ipam.service_ports import mac_address
from kilonova.network.names import dns_domain, dns_name
from kilonova.network.projects import make_room
from kilonova.network.resources.base.columns import standard
from kilonova.network.resources.base.facts import Facts, Guard, owned_by, within
from kilonova.network.resources.ports import plan
from kilonova.network.resources.ports.schemas import Port, PortCreate
from kilonova.network.resources.ports.views import view, views
from kilonova.network.resources.qos_policies.use import check_named
from kilonova.network.store import networks as network_store
from kilonova.network.store import ports as store
from kilonova.network.store import security_groups as group_store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.ports import PORTS, PolicedPortRow
from kilonova.network.store.security_groups import GroupRow


@retried  # a random MAC may be taken too
async def create(
    deps: Deps, ctx: RequestContext, bodies: Sequence[PortCreate], guards: Sequence[Guard]
) -> Sequence[Port]:
    """All or none, in the order asked; `guards` holds one for each body. A body whose `id` is there already means that
    port, bound to the body's host."""
    async with deps.database.transaction() as tx:
        batch = _Batch(deps, tx, ctx)
        await batch.load(bodies, guards)
        await batch.fill()
        await batch.write()
        made, joined = await batch.views(), await batch.joined_hosts()
        ids, also = [port.id for port in made], joined | {*await batch.filtering_hosts()}
        news = plan.news(made, batch.tunnelled if joined else ())
        await deps.announcer.changed(tx, ctx, batch.hosts(), ids, also=also, news=news)
        return made


class _Batch:
    """One transaction's ports, from bodies to rows."""

    def __init__(self, deps: Deps, tx: Transaction, ctx: RequestContext) -> None:
        self.deps, self.tx, self.ctx = deps, tx, ctx
        self.domain = deps.options.dns_domain
        self.known: dict[str, PolicedPortRow] = {}
        self.networks: dict[str, NetworkRow] = {}
        self.tunnelled: list[str] = []
        self.moved: overlay.Bound = Counter()  # places that a repeated port left or came to
        self.awaited = set[str]()  # hosts where its guest was about to be
        self.order: list[str] = []
        self.new: list[tuple[dict[str, Any], PortCreate]] = []
        self.groups: dict[str, list[str]] = {}
        self.addresses: list[dict[str, Any]] = []

    async def load(self, bodies: Sequence[PortCreate], guards: Sequence[Guard]) -> None:
        """Refuses what the caller may not do; separates new ports from repeated ones."""
        named = [body.id for body in bodies if body.id]
        if named:
            self.known = await PORTS.by_ids(self.tx.connection, named)
        self.networks = await NETWORKS.by_ids(self.tx.connection, {body.network_id for body in bodies})
        await network_store.share(
            self.tx.connection, [n.id for n in self.networks.values() if n.segmentation_id is None]
        )
        self.tunnelled = await overlay.lock(self.tx.connection, self.networks.values())
        order: dict[str, None] = {}  # a repeated id is found at once
        async for body, guard in yielding(zip(bodies, guards, strict=True)):
            row = standard(self.deps, self.ctx, body) | ({"id": body.id} if body.id else {})
            network = self.networks.get(body.network_id)
            missing = errors.NetworkNotFound(id=body.network_id)
            if network is None:
                raise missing
            guard(self._facts(row, body, network), missing)
            if row["id"] in self.known:
                _check_same(self.known[row["id"]], row, body)
                await self._move(self.known[row["id"]], body)
            elif row["id"] in order:
                raise errors.PortIdInUse(id=row["id"])
            else:
                self.new.append((row, body))
            self.order.append(row["id"])
            order[row["id"]] = None

    async def _move(self, known: PolicedPortRow, body: PortCreate) -> None:
        """A server that is built again elsewhere takes its port with it."""
        if body.host_id and (body.host_id != known.host_id or known.coming_host_id):
            if body.host_id != known.host_id:
                self.moved.update({(known.network_id, known.host_id): -1, (known.network_id, body.host_id): 1})
            self.awaited.add(known.coming_host_id)
            values = {"host_id": body.host_id}
            values |= plan.bound(known, values)
            await PORTS.change(self.tx.connection, known.id, values, self.deps.now())
            self.known |= await PORTS.by_ids(self.tx.connection, [known.id])

    def _facts(self, row: dict[str, Any], body: PortCreate, network: NetworkRow) -> Facts:
        device = (body.device_owner or "").startswith(device_owners.SERVICES)
        return owned_by(row["project_id"]) | within(network) | {"network_device": device, "object": body}

    async def fill(self) -> None:
        """Everything the rows need: groups, MACs, addresses; quota."""
        owners = [row["project_id"] for row, _ in self.new]
        defaults = await make_room(self.deps, self.tx, owners, {PORTS: 1})
        async for row, body in yielding(self.new):
            self._fill(row, body, defaults[row["project_id"]])
        await self._check_groups(set(defaults.values()))
        await check_named(self.tx.connection, self.ctx, [row["qos_policy_id"] for row, _ in self.new])
        await self._check_macs()
        if self.new:
            await self._allocate()

    def _fill(self, row: dict[str, Any], body: PortCreate, default_group: str) -> None:
        network = self.networks[body.network_id]
        mac = plan.mac(body.mac_address) if body.mac_address else mac_address(self.deps)
        secured = (
            network.port_security_enabled
            if isinstance(body.port_security_enabled, UnsetType)
            else body.port_security_enabled
        )
        owner = body.device_owner or ""
        given = body.security_groups
        if isinstance(given, UnsetType) or given is None:
            groups = [default_group] if secured and not owner.startswith(device_owners.SERVICES) else []
        else:
            groups = list(plan.groups_once(given))
        pairs = plan.pairs(body.allowed_address_pairs, mac)
        plan.check_security(enabled=secured, groups=groups, pairs=pairs, groups_given=True)
        plan.check_vnic_type(body.vnic_type)
        self.groups[row["id"]] = groups
        row |= {
            "network_id": network.id, "mac_address": mac, "admin_state_up": body.admin_state_up, "status": "DOWN",
            "device_id": body.device_id or "", "device_owner": owner, "port_security_enabled": secured,
            "allowed_address_pairs": pairs, "dns_name": dns_name(body.dns_name, self.domain),
            "dns_domain": dns_domain(body.dns_domain),
            "extra_dhcp_opts": plan.dhcp_opts(body.extra_dhcp_opts), "host_id": body.host_id or "",
            "vnic_type": body.vnic_type, "qos_policy_id": body.qos_policy_id, **plan.profile(body.profile or {}),
        }  # fmt: skip

    async def _check_groups(self, defaults: set[str]) -> None:
        asked: defaultdict[str, set[str]] = defaultdict(set)
        for row, _ in self.new:
            groups = self.groups[row["id"]]
            asked[row["project_id"]].update(groups if len(groups) > 1 else set(groups) - defaults)
        known: dict[str, GroupRow] = {}
        for project_id, wanted in asked.items():
            known |= await plan.check_groups(self.tx.connection, self.ctx, project_id, sorted(wanted))
        for groups in self.groups.values():
            plan.check_alike(groups, known)

    async def _check_macs(self) -> None:
        named = [(row["network_id"], row["mac_address"]) for row, body in self.new if body.mac_address]
        taken = [pair for pair, count in Counter(named).items() if count > 1]
        if named and not taken:
            rows = await store.macs_taken(self.tx.connection, named, [])
            taken = [(row.network_id, row.mac_address) for row in rows]
        for network_id, mac in taken:
            raise errors.MacAddressInUse(network_id=network_id, mac=mac)

    async def _allocate(self) -> None:
        allocator = await Allocator.on(self.tx.connection, {row["network_id"] for row, _ in self.new})
        wanted: defaultdict[str, list[tuple[str, Want]]] = defaultdict(list)
        async for row, body in yielding(self.new):
            subnets = allocator.by_network[row["network_id"]]
            wants = plan.wants(body.fixed_ips, subnets, row["mac_address"], row["device_owner"])
            wanted[row["network_id"]] += [(row["id"], want) for want in wants]
        for network_id, given in wanted.items():
            await allocator.give(network_id, given)
        self.addresses = allocator.rows
        self.allocator = allocator

    async def write(self) -> None:
        if not self.new:
            return
        connection = self.tx.connection
        await PORTS.add(connection, [row for row, _ in self.new])
        await self.allocator.save()
        pairs = [(port_id, group) for port_id, groups in self.groups.items() for group in groups]
        await store.add_groups(connection, [{"port_id": port, "security_group_id": group} for port, group in pairs])
        tags = [(row["id"], tag) for row, body in self.new for tag in body.tags]
        if tags:
            await tag_store.add(connection, tags)

    async def views(self) -> Sequence[Port]:
        domains = {row["id"]: self.networks[row["network_id"]].dns_domain for row, _ in self.new}
        addresses: defaultdict[str, list[SimpleNamespace]] = defaultdict(list)
        for address in self.addresses:
            addresses[address["port_id"]].append(SimpleNamespace(**address, network_domain=domains[address["port_id"]]))
        made = {row["id"]: self._view(row, body, addresses[row["id"]]) async for row, body in yielding(self.new)}
        if self.known:
            made |= {p.id: p for p in await views(self.tx.connection, list(self.known.values()), self.domain)}
        return [made[port_id] for port_id in self.order]

    def _view(self, row: dict[str, Any], body: PortCreate, addresses: Sequence[Any]) -> Port:
        tags = sorted(set(body.tags))
        shown = SimpleNamespace(**row, qos_network_policy_id=self.networks[row["network_id"]].qos_policy_id)
        return view(cast(PolicedPortRow, shown), addresses, sorted(self.groups[row["id"]]), tags, self.domain)

    def hosts(self) -> set[str]:
        """Where the ports are shown."""
        return {host for _, host in self.moved} | {row["host_id"] for row, _ in self.new} | self.awaited

    async def joined_hosts(self) -> set[str]:
        """Where other hosts' coming to a network must be known."""
        bound = Counter((row["network_id"], row["host_id"]) for row, _ in self.new)
        bound.update(self.moved)
        moved = bool(self.moved)
        return await overlay.hosts_to_notify(self.tx.connection, self.tunnelled, bound, moved=moved)

    async def filtering_hosts(self) -> Sequence[str]:
        """Where the new ports' addresses matter to filters."""
        groups = sorted({group for groups in self.groups.values() for group in groups})
        if not groups:
            return []
        return await group_store.hosts_with(self.tx.connection, groups, self.deps.alive_since())


def _check_same(known: PolicedPortRow, row: dict[str, Any], body: PortCreate) -> None:
    if (known.network_id, known.project_id, known.device_id) != (
        body.network_id,
        row["project_id"],
        body.device_id or "",
    ):
        raise errors.PortIdInUse(id=known.id)
