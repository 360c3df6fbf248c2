"""What routers and floating IPs mean for a port."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kilonova.core.db import Transaction
from kilonova.network import device_owners
from kilonova.network.deps import Deps
from kilonova.network.resources.base.errors import BadRequest
from kilonova.network.resources.routers.errors import ServicePortInUse
from kilonova.network.store import floating_ips as floating_store
from kilonova.network.store import port_forwardings as forwarding_store
from kilonova.network.store import routers as router_store
from kilonova.network.store.floating_ips import FLOATING_IPS
from kilonova.network.store.port_forwardings import ForwardingRow
from kilonova.network.store.ports import LedToRow

OWNERS = (*device_owners.OF_ROUTERS, device_owners.FLOATING_IP)


async def lose(deps: Deps, tx: Transaction, port: LedToRow, taken: Collection[str]) -> set[str]:
    """Before a port loses these addresses: port forwardings to them go, which the hosts of their routers must know. Raises
    BadRequest where a floating IP leads to one of them."""
    if not port.led_by:
        return set()
    if any(one.fixed_ip_address in taken for one in await floating_store.of_port(tx.connection, port.id)):
        raise BadRequest(
            resource="port",
            reason=f"Cannot update the fixed_ips of the port {port.id}, because its original fixed_ip has been associated to "
            "a floating ip",
        )
    leading = await forwarding_store.of_port(tx.connection, port.id)
    return await _unforward(deps, tx, [one for one in leading if one.internal_ip_address in taken])


async def leave(deps: Deps, tx: Transaction, port: LedToRow) -> set[str]:
    """Before a port is deleted: floating IPs lead nowhere then, and port forwardings go, which the hosts of their routers must
    know. Raises ServicePortInUse for a port of a router or of a floating IP."""
    if port.device_owner in OWNERS and (
        await router_store.router_of_port(tx.connection, port.id) or await floating_store.holds(tx.connection, port.id)
    ):
        raise ServicePortInUse(id=port.id, device_owner=port.device_owner)
    if not port.led_by:
        return set()
    leading = await floating_store.of_port(tx.connection, port.id)
    await floating_store.loosen(tx.connection, [one.id for one in leading], deps.now())
    hosts = await router_store.hosts_of(tx.connection, [one.router_id for one in leading])
    return hosts | await _unforward(deps, tx, await forwarding_store.of_port(tx.connection, port.id))


async def _unforward(deps: Deps, tx: Transaction, gone: Sequence[ForwardingRow]) -> set[str]:
    """Delete port forwardings; the hosts that must know. A floating IP without any goes through no router."""
    if not gone:
        return set()
    ids = {one.floatingip_id for one in gone}
    above = await FLOATING_IPS.by_ids(tx.connection, ids)
    await forwarding_store.FORWARDINGS.remove(tx.connection, [one.id for one in gone])
    left = await forwarding_store.of_floating_ips(tx.connection, sorted(ids))
    await floating_store.loosen(tx.connection, [one for one in sorted(ids) if one not in left], deps.now())
    return await router_store.hosts_of(tx.connection, [one.router_id for one in above.values()])
