"""Networks whose hosts are joined by tunnels: their segmentation ids, and which hosts must learn that another one joined
or left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from kilonova.core.db import Connection
from kilonova.network import errors
from kilonova.network.deps import Deps
from kilonova.network.store import networks as store
from kilonova.network.store.networks import NetworkRow

VXLAN = "vxlan"
OVERHEAD = 50  # bytes that VXLAN over IPv4 adds to an IP packet
Bound = Counter[tuple[str, str]]
"""How many ports came to (network, host), or left it: below zero."""


async def lock(connection: Connection, networks: Iterable[NetworkRow]) -> list[str]:
    """The ids of those networks that have tunnels. Until the transaction ends no other one binds ports there."""
    tunnelled = [network.id for network in networks if network.segmentation_id is not None]
    if tunnelled:
        await store.lock(connection, tunnelled)
    return tunnelled


async def hosts_to_notify(
    connection: Connection, network_ids: Collection[str], bound: Bound, *, moved: bool
) -> set[str]:
    """Hosts whose flood lists or learned places change: all of a network that a host has joined or left, or where a port
    has moved. Asked after the change, with the networks locked since before it: of two that join at once,
    the second sees the first."""
    changed = Counter({place: count for place, count in bound.items() if place[1] and place[0] in network_ids})
    if not changed:
        return set()
    now = await store.ports_by_host(connection, {network for network, _ in changed})
    news = {n for (n, host), count in changed.items() if moved or _crosses(now.get((n, host), 0), count)}
    return {host for network, host in now if network in news}


def _crosses(now: int, change: int) -> bool:
    """Whether the host had no ports before, or has none now."""
    return (now > 0) != (now - change > 0)


async def segment(deps: Deps, connection: Connection, taken: Collection[int]) -> int:
    """A segmentation id that no network has, nor is in `taken`: a random one, so that two concurrent callers rarely get the
    same. Raises NoNetworkAvailable."""
    first, last = deps.options.vni_range
    number = first + int.from_bytes(deps.clock.random_bytes(4), "big") % (last - first + 1)
    for start, end in ((number, last), (first, last)):
        found: int | None = start
        while found is not None and found <= end:
            if found not in taken and not await store.segments_taken(connection, VXLAN, [found]):
                return found
            found = found + 1 if found in taken else await store.free_segment(connection, VXLAN, found, end)
    raise errors.NoNetworkAvailable
