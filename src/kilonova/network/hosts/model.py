"""What a host must show, compiled from the database; and what hosts say about their ports."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, TypedRow, retried
from kilonova.network import device_owners
from kilonova.network.agent.interface import AGENT_TYPE, FIRST_SECTIONS, TUNNEL_IP
from kilonova.network.agent.model import (
    AddressPair,
    DhcpOption,
    FixedIP,
    HostModel,
    NetworkModel,
    PortModel,
    QosPolicyModel,
    RouterModel,
    RuleModel,
    SecurityGroupModel,
    SubnetModel,
    SubportModel,
    TrunkModel,
)
from kilonova.network.deps import Deps
from kilonova.network.hosts.qos import policies, policy_of
from kilonova.network.hosts.routers import compiled, nameservers
from kilonova.network.ipam.dhcp_port import device_id
from kilonova.network.resources.ports import plan as port_plan
from kilonova.network.resources.security_group_rules import plan as rule_plan
from kilonova.network.resources.subnets.plan import LEAST_MTU
from kilonova.network.store import hosts as store
from kilonova.network.store import ports as port_store
from kilonova.network.store import subnets as subnet_store
from kilonova.network.store.address_groups import ADDRESS_GROUPS, AddressGroupRow
from kilonova.network.store.hosts import HostRuleRow
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.ports import Allocation, PolicedPortRow
from kilonova.network.store.subnets import SubnetRow
from kilonova.network.store.trunks import TRUNKS

T = TypeVar("T", bound=TypedRow)
SINGLE = ("/32", "/128")  # of an IPv4 address, of an IPv6 address


@dataclass(frozen=True)
class Found:
    """What is read for every section: the ports of `host` and of its networks, and their groups by port."""

    host: str
    ports: Sequence[PolicedPortRow]
    groups: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class _Placed:
    """What ports are compiled with: addresses by port, other hosts' tunnel addresses by host."""

    found: Found
    addresses: Mapping[str, Sequence[Allocation]]
    tunnel_ips: dict[str, str]


class HostLogic:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps

    async def model(self, host: str, sections: Collection[str] = FIRST_SECTIONS) -> HostModel:
        """The first sections: seven statements, whatever the number of ports, and one for networks with tunnels."""
        async with self.deps.database.reading() as connection:
            found = await self.found(connection, host)
            asked = [name for name in SECTIONS if name in sections]  # each once, whatever a host writes
            compiled = {name: await SECTIONS[name](self, connection, found) for name in asked}
        return HostModel(**compiled)

    async def found(self, connection: Connection, host: str) -> Found:
        ports = await store.ports_on(connection, host)
        groups = _by(await store.groups_on(connection, host), "port_id") if ports else {}
        return Found(host, ports, {port: [row.security_group_id for row in rows] for port, rows in groups.items()})

    async def networks(self, connection: Connection, found: Found) -> tuple[NetworkModel, ...]:
        if not found.ports:
            return ()
        networks = await store.networks_on(connection, found.host)
        subnets = await store.subnets_on(connection, found.host)
        addresses = _by(await store.addresses_on(connection, found.host), "port_id")
        return await self._networks(connection, found, networks, subnets, addresses)

    async def some_networks(
        self, connection: Connection, host: str, network_ids: Sequence[str]
    ) -> tuple[NetworkModel, ...]:
        """As `networks`, of those among these that the host has ports of."""
        ports = await store.ports_in(connection, network_ids)
        here = [one.id for one in ports if port_store.is_on(one, host)]
        network_ids = sorted({one.network_id for one in ports if port_store.is_on(one, host)})
        groups = await port_store.groups_of(connection, here) if here else {}
        networks = await NETWORKS.by_ids(connection, network_ids)
        subnets = await subnet_store.of_networks(connection, network_ids)
        addresses = _by(await store.addresses_in(connection, network_ids), "port_id")
        rows = [networks[one] for one in sorted(networks)]
        return await self._networks(connection, Found(host, ports, groups), rows, subnets, addresses)

    async def _networks(
        self, connection: Connection, found: Found, networks: Sequence[NetworkRow], subnets: Sequence[SubnetRow],
        addresses: Mapping[str, Sequence[Allocation]],
    ) -> tuple[NetworkModel, ...]:  # fmt: skip
        tunnelled = any(network.segmentation_id is not None for network in networks)
        beside = await store.agents_beside(connection, found.host, AGENT_TYPE) if tunnelled else []
        tunnel_ips: dict[str, str] = {agent.host: agent.configurations.get(TUNNEL_IP) or "" for agent in beside}
        placed, by_network = _Placed(found, addresses, tunnel_ips), _by(found.ports, "network_id")
        leading = _by(subnets, "network_id")
        return tuple(self._network(n, leading.get(n.id, []), by_network.get(n.id, []), placed) for n in networks)

    async def security_groups(self, connection: Connection, found: Found) -> tuple[SecurityGroupModel, ...]:
        """Those of the host's ports, and those that their rules refer to. To a host an address group is a group with members."""
        if not found.ports:
            return ()
        rules = _by(await store.rules_on(connection, found.host), "security_group_id")
        remote = sorted({r.remote_group_id for rs in rules.values() for r in rs if r.remote_group_id})
        members = _by(await store.members(connection, remote) if remote else [], "security_group_id")
        named = {r.remote_address_group_id for rs in rules.values() for r in rs if r.remote_address_group_id}
        addresses = await ADDRESS_GROUPS.by_ids(connection, named) if named else {}
        used = {group for groups in found.groups.values() for group in groups} | set(remote)
        groups = tuple(
            SecurityGroupModel(
                id=group,
                rules=tuple(rule(row) for row in rules.get(group, [])),
                members=tuple(row.ip_address for row in members.get(group, [])),
            )
            for group in sorted(used)
        )
        return groups + tuple(address_group(addresses[one]) for one in sorted(addresses))

    async def routers(self, connection: Connection, found: Found) -> tuple[RouterModel, ...]:
        here = (port.device_owner for port in found.ports if port.host_id == found.host)
        if not any(owner in device_owners.OF_ROUTERS for owner in here):
            return ()
        return await compiled(connection, found.host, self.deps.options.dns_servers)

    async def qos_policies(self, connection: Connection, found: Found) -> tuple[QosPolicyModel, ...]:
        """No statement where no port has one."""
        named = {policy_of(port) for port in found.ports if port_store.is_on(port, found.host)} - {""}
        return await policies(connection, named) if named else ()

    async def trunks(self, connection: Connection, found: Found) -> tuple[TrunkModel, ...]:
        """Those that are administratively up; no statement where no port has one."""
        here = [port for port in found.ports if port.host_id == found.host]
        parents = {port.trunk_id: port.id for port in here if port.trunk_id}
        rows = await TRUNKS.by_ids(connection, parents) if parents else {}
        subports = defaultdict[str, list[SubportModel]](list)
        for port in here:
            if port.subport_of and port.vlan:
                subports[port.subport_of].append(
                    SubportModel(port_id=port.id, network_id=port.network_id, vlan=port.vlan)
                )
        return tuple(
            TrunkModel(id=row.id, parent_id=parents[row.id], subports=tuple(subports[row.id]))
            for row in rows.values()
            if row.admin_state_up
        )

    def _network(
        self, row: NetworkRow, subnets: Sequence[SubnetRow], ports: Sequence[PolicedPortRow], placed: _Placed
    ) -> NetworkModel:
        mine = (device_owners.DHCP, device_id(row.id))
        dhcp = next((one for one in ports if (one.device_owner, one.device_id) == mine), None)
        served = {a.subnet_id: a.ip_address for a in placed.addresses.get(dhcp.id, [])} if dhcp is not None else {}
        servers = self.deps.options.dns_servers
        return NetworkModel(
            id=row.id,
            project_id=row.project_id,
            mtu=max(row.mtu, LEAST_MTU[4]),  # without subnets it may be less, which no device can have
            subnets=tuple(_subnet(subnet, served.get(subnet.id), servers) for subnet in subnets),
            ports=tuple(_placed(one, placed) for one in ports if one.device_owner != device_owners.DHCP),
            dhcp_port_id=dhcp.id if dhcp is not None else None,
            dhcp_mac=dhcp.mac_address if dhcp is not None else None,
            segmentation_id=row.segmentation_id,
            dns_domain=row.dns_domain.removesuffix("."),
            physical_network=row.physical_network,
        )

    @retried
    async def report(self, ctx: RequestContext, host: str, port_ids: Sequence[str], *, up: bool) -> None:
        """Ports of this host are up or down. Compute gets an event for every port that is up, as it may wait for one again, and
        for those that went down."""
        async with self.deps.database.transaction() as tx:
            rows = await port_store.bound_to(tx.connection, host, port_ids)
            changed = [row.id for row in rows if row.status != ("ACTIVE" if up else "DOWN")]
            if changed:
                await port_store.set_status(tx.connection, changed, "ACTIVE" if up else "DOWN", self.deps.now())
            reported = [row for row in rows if up or row.id in changed]
            name = "network-vif-plugged" if up else "network-vif-unplugged"
            await self.deps.announcer.events(tx, ctx, port_plan.server_events(name, reported))


def _by(rows: Iterable[T], key: str) -> dict[str, list[T]]:
    found: defaultdict[str, list[T]] = defaultdict(list)
    for row in rows:
        found[getattr(row, key)].append(row)
    return found


def _subnet(row: SubnetRow, dhcp_ip: str | None, dns_servers: Sequence[str]) -> SubnetModel:
    """Guests ask the network's own name server first, then the cloud's, unless the subnet names others."""
    own = (dhcp_ip,) if dhcp_ip and not row.dns_nameservers and row.ipv6_address_mode != "slaac" else ()
    return SubnetModel(
        id=row.id,
        cidr=row.cidr,
        ip_version=row.ip_version,
        gateway_ip=row.gateway_ip,
        enable_dhcp=row.enable_dhcp and bool(row.ipv6_address_mode or not row.ipv6_ra_mode),  # else another serves it
        dns_nameservers=(*own, *nameservers(row, dns_servers)),
        host_routes=tuple((destination, nexthop) for destination, nexthop in row.host_routes),
        dhcp_ip=dhcp_ip,
        ipv6_address_mode=row.ipv6_address_mode,
    )


def _placed(row: PolicedPortRow, placed: _Placed) -> PortModel:
    here, away = port_store.is_on(row, placed.found.host), placed.tunnel_ips.get(row.host_id, "")
    addresses, groups = placed.addresses.get(row.id, ()), placed.found.groups.get(row.id, ())
    return port(row, addresses, groups, here=here, tunnel_ip=away)


def port(
    row: PolicedPortRow, addresses: Sequence[Allocation], groups: Sequence[str], *, here: bool, tunnel_ip: str = ""
) -> PortModel:
    """`tunnel_ip` is where other hosts reach the one that it is on."""
    return PortModel(
        id=row.id,
        network_id=row.network_id,
        project_id=row.project_id,
        mac_address=row.mac_address,
        fixed_ips=tuple(FixedIP(subnet_id=a.subnet_id, ip_address=a.ip_address) for a in addresses),
        device_id=row.device_id,
        device_owner=row.device_owner,
        hostname=row.dns_name,
        dns_domain=row.dns_domain.removesuffix("."),
        dhcp_options=tuple(DhcpOption(name=n, value=v, ip_version=i) for n, v, i in row.extra_dhcp_opts),
        admin_state_up=row.admin_state_up,
        port_security_enabled=row.port_security_enabled,
        security_groups=tuple(groups),
        allowed_address_pairs=tuple(AddressPair(ip_address=i, mac_address=m) for i, m in row.allowed_address_pairs),
        local=here,
        tunnel_ip=tunnel_ip,
        qos_policy_id=policy_of(row) if here else "",
    )


def address_group(row: AddressGroupRow) -> SecurityGroupModel:
    return SecurityGroupModel(
        id=row.id, members=tuple(text.removesuffix(SINGLE[":" in text]) for text in row.addresses)
    )


def rule(row: HostRuleRow) -> RuleModel:
    protocol = row.protocol
    if row.ethertype == "IPv6" and protocol in ("icmp", "icmpv6"):
        protocol = "ipv6-icmp"
    return RuleModel(
        id=row.id,
        direction=row.direction,
        ethertype=row.ethertype,
        protocol=protocol,
        port_range_min=row.port_range_min,
        port_range_max=row.port_range_max,
        remote_ip_prefix=rule_plan.normalized(row.remote_ip_prefix)
        or row.remote_ip_prefix,  # the agent names what it can't read
        remote_group_id=row.remote_group_id or row.remote_address_group_id,
        stateless=not row.stateful,
    )


SECTIONS: dict[str, Callable[[HostLogic, Connection, Found], Awaitable[tuple[Any, ...]]]] = {
    "networks": HostLogic.networks,
    "security_groups": HostLogic.security_groups,
    "qos_policies": HostLogic.qos_policies,
    "routers": HostLogic.routers,
    "trunks": HostLogic.trunks,
}
"""Section of HostModel → what compiles it, in the same read as the others."""
