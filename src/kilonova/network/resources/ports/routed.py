"""What routers and floating IPs mean for a port."""

from __future__ import annotations

from collections.abc import Collection

from kilonova.core.db import Connection, Transaction
from kilonova.network.deps import Deps
from kilonova.network.ipam import service_ports
from kilonova.network.resources.routers.errors import BadRequest, ServicePortInUse
from kilonova.network.store import floating_ips as floating_store
from kilonova.network.store import routers as router_store
from kilonova.network.store.ports import LedToRow
from kilonova.network.store.routers import ROUTERS

OWNERS = (*service_ports.ROUTER_OWNERS, service_ports.FLOATING_IP)


async def check_addresses(connection: Connection, port: LedToRow, taken: Collection[str]) -> None:
    """A floating IP leads to none of the addresses that are removed, and no router has them."""
    if port.floating_ips and any(
        one.fixed_ip_address in taken for one in await floating_store.of_port(connection, port.id)
    ):
        raise BadRequest(
            resource="port",
            reason=f"Cannot update the fixed_ips of the port {port.id}, because its original fixed_ip has been associated to "
            "a floating ip",
        )


async def leave(deps: Deps, tx: Transaction, port: LedToRow) -> set[str]:
    """Before a port is deleted: floating IPs lead nowhere then, which the hosts of their routers must know. Raises
    ServicePortInUse for a port of a router or of a floating IP."""
    if port.device_owner in OWNERS and (
        await router_store.router_of_port(tx.connection, port.id) or await floating_store.holds(tx.connection, port.id)
    ):
        raise ServicePortInUse(id=port.id, device_owner=port.device_owner)
    if not port.floating_ips:
        return set()
    leading = await floating_store.of_port(tx.connection, port.id)
    await floating_store.loosen(tx.connection, [one.id for one in leading], deps.now())
    through = await ROUTERS.by_ids(tx.connection, {one.router_id for one in leading if one.router_id})
    return {router.host_id for router in through.values()}
