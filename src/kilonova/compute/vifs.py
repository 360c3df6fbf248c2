"""Servers' interfaces, made of what the network service says of ports: the one way, for launches and for what comes later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from kilonova.compute.models import FixedIp, SubnetInfo, Vif
from kilonova.compute.peers import NetworkAccess
from kilonova.network.client import FloatingIPRecord, NetworkRecord, PortRecord, SubnetRecord

T = TypeVar("T")
CHUNK = 100  # ids in one URL
Network = tuple[NetworkRecord, dict[str, SubnetRecord]]
"""A network with its subnets by id."""


async def networks_of(client: NetworkAccess, ids: Collection[str]) -> dict[str, Network]:
    """By id, with their subnets: two requests for up to 100 of them."""
    networks, subnets = await asyncio.gather(
        in_parts(ids, lambda part: client.networks(id=part)),
        in_parts(ids, lambda part: client.subnets(network_id=part)),
    )
    return {n.id: (n, {s.id: s for s in subnets if s.network_id == n.id}) for n in networks}


async def in_parts(ids: Collection[str], ask: Callable[[list[str]], Awaitable[Sequence[T]]]) -> list[T]:
    """All answers, for as many ids at once as a URL may hold."""
    asked = sorted(ids)
    parts = [asked[n : n + CHUNK] for n in range(0, len(asked), CHUNK)]
    return [item for answer in await asyncio.gather(*map(ask, parts)) for item in answer]


def vif_of(
    port: PortRecord,
    networks: Mapping[str, Network],
    *,
    tag: str | None,
    created: bool,
    active: bool,
    floating: Sequence[FloatingIPRecord] = (),
) -> Vif:
    """`networks` has at least the port's own; of `floating` those that lead to it are taken."""
    network, subnets = networks[port.network_id]
    return Vif(
        port_id=port.id,
        network_id=network.id,
        network_name=network.name,
        mac_address=port.mac_address,
        fixed_ips=[
            FixedIp(
                address=ip.ip_address,
                subnet=_subnet(subnets[ip.subnet_id]),
                floating_ips=[
                    one.floating_ip_address
                    for one in floating
                    if (one.fixed_port_id, one.fixed_ip_address) == (port.id, ip.ip_address)
                ],
            )
            for ip in port.fixed_ips
        ],
        mtu=network.mtu,
        vif_type=port.vif_type or "unbound",
        details=port.vif_details or {},
        tag=tag,
        created=created,
        active=active,
    )


def _subnet(subnet: SubnetRecord) -> SubnetInfo:
    return SubnetInfo(
        id=subnet.id,
        cidr=subnet.cidr,
        ip_version=subnet.ip_version,
        gateway_ip=subnet.gateway_ip,
        enable_dhcp=subnet.enable_dhcp,
        dns_nameservers=list(subnet.dns_nameservers),
        host_routes=[(route.destination, route.nexthop) for route in subnet.host_routes],
        ipv6_address_mode=subnet.ipv6_address_mode,
    )
