"""On which host a router is made."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from kilonova.core.context import RequestContext
from kilonova.core.db import Connection, Transaction
from kilonova.network.agent.interface import AGENT_TYPE, BRIDGE_MAPPINGS, L3_AGENT, MAKES_ROUTERS
from kilonova.network.deps import Deps
from kilonova.network.hosts import overlay
from kilonova.network.store import agents as agent_store
from kilonova.network.store import routers as store
from kilonova.network.store.agents import AgentRow
from kilonova.network.store.networks import NETWORKS, NetworkRow
from kilonova.network.store.routers import ROUTERS, RouterPortRow, RouterRow

Held = Mapping[str, Sequence[RouterPortRow]]
"""By router: its ports."""


def suits(configurations: Mapping[str, Any], physical: Collection[str]) -> bool:
    """Whether an agent with these configurations makes routers, and is on these physical networks."""
    return bool(configurations.get(MAKES_ROUTERS)) and set(physical) <= set(configurations.get(BRIDGE_MAPPINGS) or {})


class Hosts:
    """The living hosts that may be given routers, with the number of routers of each."""

    def __init__(self, agents: Sequence[AgentRow], used: Mapping[str, int]) -> None:
        self._agents, self._used = agents, Counter(used)

    @classmethod
    async def read(cls, deps: Deps, connection: Connection) -> Hosts:
        agents = await agent_store.placeable(connection, L3_AGENT, deps.alive_since())
        used = await store.count_by_host(connection) if len(agents) > 1 else {}
        return cls(agents, used)

    def take(self, physical: Collection[str], zones: Collection[str]) -> str:
        """The host with the fewest, which has one more now; "" where none can make it. With `zones` it is in one of them."""
        allowed = [agent for agent in self._agents if not zones or agent.availability_zone in zones]
        fit = [agent.host for agent in allowed if suits(agent.configurations, physical)]
        host = min(fit, key=lambda host: (self._used[host], host), default="")
        self._used[host] += 1
        return host


def physical_networks(ports: Iterable[RouterPortRow], known: Mapping[str, NetworkRow]) -> set[str]:
    """The physical networks that a router with these ports is on."""
    names = (known[port.network_id].physical_network for port in ports if port.network_id in known)
    return {name for name in names if name}


async def settle(
    deps: Deps, tx: Transaction, ctx: RequestContext, router_id: str, left: overlay.Bound | None = None
) -> None:
    """After a router or one of its ports changed: find it a host, bind all its ports there, and announce it. `left` counts the
    ports that were removed from (network, host), below zero."""
    router = await ROUTERS.get(tx.connection, router_id, lock=True)
    if router is None:
        return
    held, known = await read_ports(tx.connection, [router_id], {network for network, _ in left or ()})
    host = await _host(deps, tx.connection, router, physical_networks(held.get(router_id, ()), known))
    await place(deps, tx, ctx, [(router, host)], held, known, left)


async def _host(deps: Deps, connection: Connection, router: RouterRow, physical: Collection[str]) -> str:
    """Where it is, as long as that host serves; it stays where it is while its host is down."""
    if router.host_id:
        known = await agent_store.agent_of(connection, AGENT_TYPE, router.host_id)
        if known is not None and suits(known.configurations, physical):
            return str(router.host_id)
    return (await Hosts.read(deps, connection)).take(physical, router.availability_zone_hints)


async def read_ports(
    connection: Connection, router_ids: Sequence[str], left: Collection[str] = ()
) -> tuple[Held, dict[str, NetworkRow]]:
    """The routers' ports, and by id the networks of these and those that were `left`."""
    held = await store.ports_of(connection, router_ids)
    on = {port.network_id for ports in held.values() for port in ports}
    return held, await NETWORKS.by_ids(connection, on | set(left))


async def settle_unplaced(deps: Deps, tx: Transaction, ctx: RequestContext, configurations: Mapping[str, Any]) -> None:
    """A host with these configurations lives: the routers that no host makes and this one can are placed."""
    mapped = configurations.get(BRIDGE_MAPPINGS) or {}
    waiting = await store.unplaced(tx.connection, list(mapped))
    if not waiting:
        return
    held, known = await read_ports(tx.connection, [router.id for router in waiting])
    hosts = await Hosts.read(deps, tx.connection)
    chosen = [
        (router, hosts.take(physical_networks(held.get(router.id, ()), known), router.availability_zone_hints))
        for router in waiting
    ]
    await place(deps, tx, ctx, [(router, host) for router, host in chosen if host], held, known)


async def place(
    deps: Deps, tx: Transaction, ctx: RequestContext, chosen: Sequence[tuple[RouterRow, str]], held: Held,
    known: Mapping[str, NetworkRow], left: overlay.Bound | None = None,
) -> None:  # fmt: skip
    """Bind these locked routers and all their ports to the hosts chosen ("": none), and announce it: a fixed number of statements
    a host."""
    if not chosen:
        return
    bound: overlay.Bound = Counter(left or {})
    routers, moved = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    told: set[str] = set()
    for router, host in chosen:
        told |= {host, router.host_id}
        if host != router.host_id:
            routers[host].append(router.id)
        for port in held.get(router.id, ()):
            if port.host_id != host:
                bound.update({(port.network_id, port.host_id): -1, (port.network_id, host): 1})
                moved[host].append(port.id)
                told.add(port.host_id)
    if lost := {network_id for network_id, _ in left or ()} - known.keys():
        known = {**known, **await NETWORKS.by_ids(tx.connection, lost)}
    tunnelled = await overlay.lock(tx.connection, known.values())
    for host, port_ids in moved.items():
        await store.bind_ports(tx.connection, port_ids, host, deps.now())
    for host, router_ids in routers.items():
        await store.place(tx.connection, router_ids, host)
    also = await overlay.hosts_to_notify(tx.connection, tunnelled, bound, moved=True)
    every = [port_id for port_ids in moved.values() for port_id in port_ids]
    await deps.announcer.changed(tx, ctx, told, every, also=also)
