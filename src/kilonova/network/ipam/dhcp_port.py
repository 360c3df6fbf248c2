"""DHCP's own port: one a network, with an address in each of its subnets that has DHCP."""

from __future__ import annotations

from kilonova.core.db import Transaction
from kilonova.core.yielding import yielding
from kilonova.network import device_owners, errors
from kilonova.network.deps import Deps
from kilonova.network.ipam import service_ports
from kilonova.network.ipam.addresses import Allocator, Want, of_mac
from kilonova.network.ipam.ranges import automatic
from kilonova.network.store import ports as store
from kilonova.network.store.ports import PORTS


def device_id(network_id: str) -> str:
    """Of the port that is DHCP's: a network's owner may make other ports of this owner there."""
    return f"dhcp-{network_id}"


async def keep_port(deps: Deps, tx: Transaction, network_id: str, project_id: str) -> None:
    """Make the network's DHCP port what its subnets ask for: made, given addresses, or deleted. A subnet without a free
    address has to do without DHCP."""
    allocator = await Allocator.on(tx.connection, [network_id])
    wanted = {s.id: s for s in allocator.by_network[network_id] if s.enable_dhcp}
    port = await store.dhcp_port(tx.connection, network_id, device_id(network_id))
    if not wanted:
        if port is not None:
            await PORTS.remove(tx.connection, [port.id])
        return
    port_id, mac = (port.id, port.mac_address) if port is not None else (None, "")
    have = (
        {row.subnet_id for row in (await store.addresses_of(tx.connection, [port_id])).get(port_id, [])}
        if port_id
        else set()
    )
    for subnet_id in have.difference(wanted):
        await store.take_addresses(tx.connection, str(port_id), subnet_id)
    if port_id is None:
        row = service_ports.columns(
            deps, network_id, device_owners.DHCP, device_id(network_id), project_id=project_id, status="ACTIVE"
        )
        port_id, mac = row["id"], row["mac_address"]
        await PORTS.add(tx.connection, [row])
    async for subnet_id, subnet in yielding(wanted.items()):
        if subnet_id not in have:
            want = of_mac(subnet, mac) if automatic(subnet) else Want(subnet_id=subnet_id)
            try:
                await allocator.give(network_id, [(port_id, want)])
            except errors.IpAddressGenerationFailure:
                continue
    await allocator.save()
