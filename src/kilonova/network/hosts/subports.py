"""Subports of a trunk are where its parent is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kilonova.core.context import RequestContext
from kilonova.core.db import Transaction
from kilonova.network.deps import Deps
from kilonova.network.hosts import overlay
from kilonova.network.store import routers as router_store
from kilonova.network.store import trunks as store
from kilonova.network.store.networks import NETWORKS
from kilonova.network.store.ports import PortRow


async def bind(
    deps: Deps, tx: Transaction, ctx: RequestContext, ports: Sequence[PortRow], host: str, parent_id: str
) -> None:
    """Bind subports to the host of their parent ("": to none), and announce them and the parent, whose host changes what it does
    with tagged frames. A fixed number of statements."""
    moved = [port for port in ports if port.host_id != host]
    bound: overlay.Bound = Counter()
    for port in moved:
        bound.update({(port.network_id, port.host_id): -1, (port.network_id, host): 1})
    known = await NETWORKS.by_ids(tx.connection, {port.network_id for port in moved})
    tunnelled = await overlay.lock(tx.connection, known.values())
    if moved:
        await router_store.bind_ports(tx.connection, [port.id for port in moved], host, deps.now())
    also = await overlay.hosts_to_notify(tx.connection, tunnelled, bound, moved=True)
    hosts = {host, *(port.host_id for port in ports)}
    await deps.announcer.changed(tx, ctx, hosts, [parent_id, *(port.id for port in moved)], also=also)


async def follow(deps: Deps, tx: Transaction, ctx: RequestContext, parent: PortRow, host: str) -> None:
    """The parent was bound to another host."""
    if parent.trunk_id is not None:
        found = await store.subports_of(tx.connection, [parent.trunk_id])
        await bind(deps, tx, ctx, found.get(parent.trunk_id, []), host, parent.id)
