"""What a request names beside its own object: read, and not found by callers that may not see it."""

from __future__ import annotations

from kilonova.core.db import Connection
from kilonova.network.errors import NetworkNotFound, PortNotFound
from kilonova.network.resources.base.facts import Seeing, facts, network_facts
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.ports import PORTS, PortRow


async def visible_network(connection: Connection, network_id: str, seeing: Seeing, *, lock: bool = False) -> NetworkRow:
    """Raises NetworkNotFound."""
    missing = NetworkNotFound(id=network_id)
    network = await NETWORKS.get(connection, network_id, lock=lock)
    if network is None:
        raise missing
    seeing.network(facts(network) | network_facts(network), missing)
    return network


async def visible_port(connection: Connection, port_id: str, seeing: Seeing) -> PortRow:
    """Locked. That its network is shared makes it no more visible. Raises PortNotFound."""
    missing = PortNotFound(id=port_id)
    port = await PORTS.get(connection, port_id, lock=True)
    if port is None:
        raise missing
    network = await NETWORKS.get(connection, port.network_id)
    seeing.port(facts(port, network) | {"shared": False, "router:external": False}, missing)
    return port
