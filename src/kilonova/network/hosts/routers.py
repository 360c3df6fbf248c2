"""A host's routers, compiled from the database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from kilonova.core.addresses import parse_address, parse_network
from kilonova.core.db import Connection
from kilonova.network import device_owners
from kilonova.network.agent.model import (
    AdvertisementModel,
    FloatingIPModel,
    GatewayModel,
    MeterModel,
    MeterRuleModel,
    PortForwardingModel,
    RouterModel,
    RouterPortModel,
)
from kilonova.network.store import floating_ips as floating_store
from kilonova.network.store import metering as metering_store
from kilonova.network.store import port_forwardings as forwarding_store
from kilonova.network.store import routers as store
from kilonova.network.store.floating_ips import FloatingIPRow
from kilonova.network.store.metering import LabelRuleRow
from kilonova.network.store.port_forwardings import ForwardingRow, first_last
from kilonova.network.store.routers import PlacedAddress, RouterPortRow, RouterRow
from kilonova.network.store.subnets import SubnetRow

Addresses = dict[str, list[PlacedAddress]]
"""By port: its addresses, each with its subnet."""


async def compiled(connection: Connection, host: str, dns_servers: Sequence[str]) -> tuple[RouterModel, ...]:
    """Five statements, one for port forwardings and one for metering rules, however many there are."""
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
    meters = await _meters(connection, {router.project_id for router in found})
    return tuple(
        replace(
            _router(
                router,
                held.get(router.id, []),
                addresses,
                _floating(floating.get(router.id, []), forwardings),
                dns_servers,
            ),
            meters=tuple(meter for owner, meter in meters if owner in ("", router.project_id)),
        )
        for router in found
    )


async def _meters(connection: Connection, project_ids: set[str]) -> list[tuple[str, MeterModel]]:
    """Metering labels that have rules, each with the project whose routers it meters; "": every one."""
    labels = await metering_store.of_projects(connection, project_ids)
    rules = await metering_store.rules_of(connection, [label.id for label in labels]) if labels else {}
    return [
        (
            "" if label.shared else label.project_id,
            MeterModel(id=label.id, rules=tuple(map(_meter_rule, rules[label.id]))),
        )
        for label in labels
        if label.id in rules
    ]


def _meter_rule(row: LabelRuleRow) -> MeterRuleModel:
    """The remote prefix is one inside: where egress comes from, and ingress goes to."""
    inside = row.remote_ip_prefix or ""
    return MeterRuleModel(
        direction=row.direction,
        excluded=row.excluded,
        source=row.source_ip_prefix or (inside if row.direction == "egress" else ""),
        destination=row.destination_ip_prefix or (inside if row.direction == "ingress" else ""),
    )


def _router(
    row: RouterRow, ports: Sequence[RouterPortRow], addresses: Addresses, floating: tuple[FloatingIPModel, ...],
    dns_servers: Sequence[str],
) -> RouterModel:  # fmt: skip
    gateway = next((port for port in ports if port.owner == device_owners.GATEWAY), None)
    inner = [one for port in ports if port.owner == device_owners.INTERFACE for one in addresses[port.id]]
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
            if port.owner == device_owners.INTERFACE and port.admin_state_up and addresses[port.id]
        ),
        gateway=_gateway(row, gateway, addresses[gateway.id], inner) if gateway is not None else None,
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


def _gateway(
    router: RouterRow, port: RouterPortRow, held: Sequence[PlacedAddress], inner: Sequence[PlacedAddress]
) -> GatewayModel:
    """`inner` are the addresses of the router's interfaces."""
    scopes = {one.address_scope_id for one in held if one.ip_version == 4} - {None}
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
        same_scope=tuple(one.cidr for one in inner if one.ip_version == 4 and one.address_scope_id in scopes),
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
