"""What a request names beside its own object: read, and not found by callers that may not see it."""

from __future__ import annotations

from typing import TypeVar

from kilonova.core.db import Connection
from kilonova.core.errors import KilonovaError
from kilonova.network.errors import NetworkNotFound, PortNotFound
from kilonova.network.resources.base.facts import Guard, Seeing, facts, network_facts
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.objects import Objects, SharedRow
from kilonova.network.store.ports import PORTS, PortRow

S = TypeVar("S", bound=SharedRow)


async def visible_network(connection: Connection, network_id: str, seeing: Seeing, *, lock: bool = False) -> NetworkRow:
    """Raises NetworkNotFound."""
    missing = NetworkNotFound(id=network_id)
    network = await NETWORKS.get(connection, network_id, lock=lock)
    if network is None:
        raise missing
    seeing.network(facts(network) | network_facts(network), missing)
    return network


async def visible_shared(
    connection: Connection,
    objects: Objects[S],
    object_id: str,
    sees: Guard,
    missing: KilonovaError,
    *,
    lock: bool = False,
) -> S:
    """What RBAC policies share. `sees` is its guard in Seeing; raises `missing`."""
    row = await objects.get(connection, object_id, lock=lock)
    if row is None:
        raise missing
    sees(facts(row) | {"shared": row.shared_with}, missing)
    return row


async def visible_port(connection: Connection, port_id: str, seeing: Seeing) -> PortRow:
    """Locked. That its network is shared makes it no more visible. Raises PortNotFound."""
    missing = PortNotFound(id=port_id)
    port = await PORTS.get(connection, port_id, lock=True)
    if port is None:
        raise missing
    network = await NETWORKS.get(connection, port.network_id)
    seeing.port(facts(port, network) | {"shared": False, "router:external": False}, missing)
    return port
