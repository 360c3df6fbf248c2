"""A host's routers, compiled from the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from kilonova.core.addresses import parse_address, parse_network
from kilonova.core.db import Connection
from kilonova.network.agent.model import (
    AdvertisementModel,
    FloatingIPModel,
    GatewayModel,
    PortForwardingModel,
    RouterModel,
    RouterPortModel,
)
from kilonova.network.ipam import service_ports
from kilonova.network.store import floating_ips as floating_store
from kilonova.network.store import port_forwardings as forwarding_store
from kilonova.network.store import routers as store
from kilonova.network.store.floating_ips import FloatingIPRow
from kilonova.network.store.port_forwardings import ForwardingRow, first_last
from kilonova.network.store.routers import PlacedAddress, RouterPortRow, RouterRow
from kilonova.network.store.subnets import SubnetRow

Addresses = dict[str, list[PlacedAddress]]
"""By port: its addresses, each with its subnet."""


async def compiled(connection: Connection, host: str, dns_servers: Sequence[str]) -> tuple[RouterModel, ...]:
    """Four statements, and one for port forwardings, however many there are."""
    found = await store.on_host(connection, host)
    if not found:
        return ()
    ids = [router.id for router in found]
    held = await store.ports_of(connection, ids)
    addresses: defaultdict[str, list[PlacedAddress]] = defaultdict(list)
    every = [port.id for ports in held.values() for port in ports]
    for address in await store.addresses_of(connection, every):
        addresses[address.port_id].append(address)
    floating = await floating_store.of_routers(connection, ids)
    forwarding = [one.id for several in floating.values() for one in several if one.fixed_port_id is None]
    forwardings = await forwarding_store.of_floating_ips(connection, forwarding) if forwarding else {}
    return tuple(
        _router(
            router, held.get(router.id, []), addresses, _floating(floating.get(router.id, []), forwardings), dns_servers
        )
        for router in found
    )


def _router(
    row: RouterRow, ports: Sequence[RouterPortRow], addresses: Addresses, floating: tuple[FloatingIPModel, ...],
    dns_servers: Sequence[str],
) -> RouterModel:  # fmt: skip
    gateway = next((port for port in ports if port.owner == service_ports.GATEWAY), None)
    return RouterModel(
        id=row.id,
        project_id=row.project_id,
        admin_state_up=row.admin_state_up,
        interfaces=tuple(
            RouterPortModel(
                port_id=port.id,
                network_id=port.network_id,
                mac_address=port.mac_address,
                addresses=_with_prefix(addresses[port.id]),
                advertises=_advertised(addresses[port.id], dns_servers),
            )
            for port in ports
            if port.owner == service_ports.INTERFACE and port.admin_state_up and addresses[port.id]
        ),
        gateway=_gateway(row, gateway, addresses[gateway.id]) if gateway is not None else None,
        routes=tuple((destination, nexthop) for destination, nexthop in row.routes),
        floating_ips=floating,
    )


def _floating(
    found: Sequence[FloatingIPRow], forwardings: Mapping[str, Sequence[ForwardingRow]]
) -> tuple[FloatingIPModel, ...]:
    return tuple(
        FloatingIPModel(
            id=one.id,
            floating_ip_address=one.floating_ip_address,
            fixed_ip_address=one.fixed_ip_address or "",
            port_id=one.fixed_port_id or "",
            port_forwardings=tuple(_forwarding(row) for row in forwardings.get(one.id, [])),
        )
        for one in found
    )


def _forwarding(row: ForwardingRow) -> PortForwardingModel:
    return PortForwardingModel(
        id=row.id,
        protocol=row.protocol,
        external_ports=first_last(row.external_port_range),
        internal_ip_address=row.internal_ip_address,
        internal_ports=first_last(row.internal_port_range),
    )


def _gateway(router: RouterRow, port: RouterPortRow, held: Sequence[PlacedAddress]) -> GatewayModel:
    hops: dict[int, str] = {}
    for subnet in held:
        if subnet.gateway_ip:
            hops.setdefault(subnet.ip_version, subnet.gateway_ip)
    return GatewayModel(
        port_id=port.id,
        network_id=port.network_id,
        mac_address=port.mac_address,
        addresses=_with_prefix(held),
        next_hops=tuple(hops.values()),
        enable_snat=router.enable_snat,
    )


def nameservers(subnet: SubnetRow, default: Sequence[str]) -> tuple[str, ...]:
    """The subnet's, or those of the cloud that its guests can reach by its IP version."""
    if subnet.dns_nameservers:
        return tuple(subnet.dns_nameservers)
    return tuple(server for server in default if parse_address(server).version == subnet.ip_version)


def _advertised(held: Sequence[PlacedAddress], dns_servers: Sequence[str]) -> tuple[AdvertisementModel, ...]:
    return tuple(
        AdvertisementModel(cidr=s.cidr, mode=s.ipv6_ra_mode, dns_nameservers=nameservers(s, dns_servers))
        for s in held
        if s.ipv6_ra_mode is not None
    )


def _with_prefix(held: Sequence[PlacedAddress]) -> tuple[str, ...]:
    return tuple(f"{address.ip_address}/{parse_network(address.cidr).prefixlen}" for address in held)
