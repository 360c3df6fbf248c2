"""Ports as clients see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.db import Connection
from kilonova.network.agent.model import bridge_name, host_name, tap_name
from kilonova.network.names import whole_name
from kilonova.network.resources.base.columns import shown
from kilonova.network.resources.ports.schemas import (
    AddressPair,
    CarriedPort,
    DhcpOpt,
    DnsAssignment,
    FixedIP,
    Port,
    TrunkDetails,
)
from kilonova.network.store import ports as store
from kilonova.network.store import tags as tag_store
from kilonova.network.store.ports import NamedAllocation, PolicedPortRow, PortRow
from kilonova.network.store.trunks import subports_of

SHOWN = (
    "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner", "port_security_enabled",
    "vnic_type", "dns_name", "dns_domain", "host_id", "profile", "qos_policy_id", "qos_network_policy_id",
)  # fmt: skip


def view(
    row: PolicedPortRow, addresses: Sequence[NamedAllocation], groups: Sequence[str], tags: Sequence[str], domain: str
) -> Port:
    """`domain` is the cloud's, of names on networks that have none."""
    return Port(
        **shown(row, tags),
        **{name: getattr(row, name) for name in SHOWN},
        fixed_ips=[FixedIP(subnet_id=a.subnet_id, ip_address=a.ip_address) for a in addresses],
        security_groups=list(groups),
        allowed_address_pairs=[AddressPair(ip_address=ip, mac_address=mac) for ip, mac in row.allowed_address_pairs],
        extra_dhcp_opts=[DhcpOpt(opt_name=n, opt_value=v, ip_version=i) for n, v, i in row.extra_dhcp_opts],
        dns_assignment=[_assignment(row, address, domain) for address in addresses],
        **binding(row),
    )


def _assignment(row: PortRow, address: NamedAllocation, domain: str) -> DnsAssignment:
    name = host_name(row.dns_name, address.ip_address)
    whole = whole_name(name, row.dns_domain or address.network_domain or domain)
    return DnsAssignment(ip_address=address.ip_address, hostname=name, fqdn=whole)


def binding(row: PortRow) -> dict[str, Any]:
    """`vif_type` and `vif_details`: what compute must know to plug a bound port."""
    if not row.host_id:
        return {"vif_type": "unbound", "vif_details": {}}
    names = {"bridge_name": bridge_name(row.network_id), "tap_name": tap_name(row.id)}
    return {"vif_type": "bridge", "vif_details": {"port_filter": True, "connectivity": "l2"} | names}


async def views(connection: Connection, rows: Sequence[PolicedPortRow], domain: str) -> Sequence[Port]:
    """Three statements, and one where there are parents of trunks, however many ports."""
    ids = [row.id for row in rows]
    addresses = await store.named_addresses_of(connection, ids)
    groups, tags = await store.groups_of(connection, ids), await tag_store.tags_of(connection, ids)
    trunks = [row.trunk_id for row in rows if row.trunk_id is not None]
    carried = await subports_of(connection, trunks) if trunks else {}
    found = [view(row, addresses.get(row.id, []), groups.get(row.id, []), tags.get(row.id, []), domain) for row in rows]
    for port, row in zip(found, rows, strict=True):
        if row.trunk_id is not None:
            port.trunk_details = _trunk(row.trunk_id, carried.get(row.trunk_id, []))
    return found


def _trunk(trunk_id: str, below: Sequence[PortRow]) -> TrunkDetails:
    ports = [
        CarriedPort(port_id=p.id, segmentation_type="vlan", segmentation_id=p.vlan or 0, mac_address=p.mac_address)
        for p in below
    ]
    return TrunkDetails(trunk_id=trunk_id, sub_ports=ports)
