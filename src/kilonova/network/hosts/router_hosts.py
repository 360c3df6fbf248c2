"""On which host a router is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.network.agent.interface import AGENT_TYPE, BRIDGE_MAPPINGS
from kilonova.network.agent.interface import ROUTERS as MAKES_ROUTERS
from kilonova.network.deps import Deps
from kilonova.network.hosts import overlay
from kilonova.network.store import routers as store
from kilonova.network.store.networks import NETWORKS
from kilonova.network.store.routers import ROUTERS, RouterRow


def suits(configurations: Mapping[str, Any], physical: Collection[str]) -> bool:
    """Whether an agent with these configurations makes routers, and is on these physical networks."""
    return bool(configurations.get(MAKES_ROUTERS)) and set(physical) <= set(configurations.get(BRIDGE_MAPPINGS) or {})


async def choose(deps: Deps, connection: Connection, physical: Collection[str]) -> str:
    """The living host with the fewest routers; "" where there is none."""
    agents = await store.living_agents(connection, AGENT_TYPE, deps.alive_since())
    hosts = [agent.host for agent in agents if suits(agent.configurations, physical)]
    if len(hosts) < 2:
        return hosts[0] if hosts else ""
    used = await store.count_by_host(connection)
    return min(hosts, key=lambda host: (used.get(host, 0), host))


async def _host(deps: Deps, connection: Connection, router: RouterRow, physical: Collection[str]) -> str:
    """Where it is, as long as that host serves; it stays where it is while its host is down."""
    if router.host_id:
        known = await store.agent_of_host(connection, AGENT_TYPE, router.host_id)
        if known is not None and suits(known.configurations, physical):
            return str(router.host_id)
    return await choose(deps, connection, physical)


async def settle(
    deps: Deps, tx: Transaction, ctx: RequestContext, router_id: str, left: overlay.Bound | None = None
) -> None:
    """After a router or one of its ports changed: find it a host, bind all its ports there, and announce it. `left` counts the
    ports that were removed from (network, host), below zero."""
    router = await ROUTERS.get(tx.connection, router_id, lock=True)
    if router is None:
        return
    held = (await store.ports_of(tx.connection, [router_id])).get(router_id, [])
    known = await NETWORKS.by_ids(tx.connection, {port.network_id for port in held})
    physical = {network.physical_network for network in known.values() if network.physical_network}
    host = await _host(deps, tx.connection, router, physical)
    moved = [port for port in held if port.host_id != host]
    bound: overlay.Bound = Counter(left or {})
    for port in moved:
        bound.update({(port.network_id, port.host_id): -1, (port.network_id, host): 1})
    tunnelled = await overlay.lock(tx.connection, known.values())
    if moved:
        await store.bind_ports(tx.connection, [port.id for port in moved], host, deps.now())
    if host != router.host_id:
        await store.place(tx.connection, router_id, host)
    also = await overlay.hosts_to_notify(tx.connection, tunnelled, bound, moved=True)
    hosts = {host, router.host_id, *(port.host_id for port in moved)}
    await deps.announcer.changed(tx, ctx, hosts, [port.id for port in moved], also=also)


async def settle_unplaced(deps: Deps, tx: Transaction, ctx: RequestContext) -> None:
    """A host that makes routers has come: those that had none are placed."""
    for router in await store.unplaced(tx.connection):
        await settle(deps, tx, ctx, router.id)
