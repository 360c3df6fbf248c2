"""Automatic subnets come and go: every port of their network has an address there, made of its MAC."""

from __future__ import annotations

from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction
from kilonova.network import device_owners
from kilonova.network.deps import Deps
from kilonova.network.ipam.addresses import Allocator, of_mac
from kilonova.network.ipam.ranges import serves
from kilonova.network.resources.ports.plan import server_events
from kilonova.network.store import ports as port_store
from kilonova.network.store import security_groups as group_store

WITHOUT = (device_owners.INTERFACE, device_owners.FLOATING_IP)
"""Owners of ports that have the addresses they were given alone."""


async def give_all(deps: Deps, tx: Transaction, ctx: RequestContext, network_id: str, subnet_id: str) -> None:
    """Addresses of a new subnet to the ports that are there."""
    outside = await port_store.outside(tx.connection, network_id, subnet_id, WITHOUT)
    if not outside:
        return
    allocator = await Allocator.on(tx.connection, [network_id])
    subnet = allocator.subnets[subnet_id]
    found = [port for port in outside if serves(subnet, port.device_owner)]
    allocator.give_new(subnet_id, [(port.id, of_mac(subnet, port.mac_address)) for port in found])
    await allocator.save()
    await _tell(deps, tx, ctx, found)


async def take_all(deps: Deps, tx: Transaction, ctx: RequestContext, subnet_id: str) -> None:
    """Addresses of a subnet that goes."""
    found = await port_store.inside(tx.connection, subnet_id)
    await port_store.take_subnet(tx.connection, subnet_id)
    await _tell(deps, tx, ctx, found)


async def _tell(deps: Deps, tx: Transaction, ctx: RequestContext, ports: port_store.Ports) -> None:
    """Compute, and the hosts whose filters admit these ports by their groups."""
    bound = [port for port in ports if port.host_id]
    await deps.announcer.events(tx, ctx, server_events("network-changed", bound))
    groups = await port_store.groups_of(tx.connection, [port.id for port in ports])
    every = sorted({group for held in groups.values() for group in held})
    if every:
        await deps.announcer.changed(tx, ctx, await group_store.hosts_with(tx.connection, every, deps.alive_since()))
