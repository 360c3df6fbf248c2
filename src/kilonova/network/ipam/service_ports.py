"""Ports that belong to the cloud's own services: DHCP, routers, floating IPs. They have no filters and no security groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kilonova.core.db import Transaction
from kilonova.network.deps import Deps
from kilonova.network.ipam.addresses import Allocator, Want
from kilonova.network.store.ports import PORTS, PortRow


def mac_address(deps: Deps) -> str:
    """A random address with the cloud's first three octets."""
    return ":".join([deps.options.mac_base, *(f"{octet:02x}" for octet in deps.clock.random_bytes(3))])


def columns(deps: Deps, network_id: str, owner: str, device_id: str, **more: Any) -> dict[str, Any]:
    """A new port's columns; `project_id` "" hides it from all projects but the network's."""
    now = deps.now()
    return {
        "id": deps.clock.uuid(), "project_id": "", "name": "", "description": "", "created_at": now, "updated_at": now,
        "revision_number": 1, "network_id": network_id, "mac_address": mac_address(deps), "admin_state_up": True,
        "status": "DOWN", "device_id": device_id, "device_owner": owner, "port_security_enabled": False,
        "allowed_address_pairs": [], "dns_name": "", "dns_domain": "", "extra_dhcp_opts": [],
        "host_id": "", "vnic_type": "normal", "profile": {},
    } | more  # fmt: skip


async def add_address(tx: Transaction, port: PortRow, want: Want) -> None:
    """One more for a port that is there. Raises as Allocator.give does."""
    allocator = await Allocator.on(tx.connection, [port.network_id])
    await allocator.give(port.network_id, [(port.id, want)])
    await allocator.save()


async def add(tx: Transaction, row: dict[str, Any], wants: Sequence[Want]) -> list[dict[str, Any]]:
    """Make the port with these addresses; its rows of `ip_allocations`. Raises as Allocator.give does."""
    allocator = await Allocator.on(tx.connection, [row["network_id"]])
    await allocator.give(row["network_id"], [(row["id"], want) for want in wants])
    await PORTS.add(tx.connection, [row])
    await allocator.save()
    return allocator.rows
