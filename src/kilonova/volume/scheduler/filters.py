"""Filters of pools: each says whether a pool may have a volume. All of them must."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kilonova.core.operators import matches
from kilonova.volume.models import service_of
from kilonova.volume.scheduler.pools import Pool, Request

Filter = Callable[[Pool, Request], bool]
SCOPE = "capabilities"  # of extra specs
NOT_CAPABILITIES = ("multiattach", "replication_enabled", "RESKEY:availability_zones")


def in_service(pool: Pool, _request: Request) -> bool:
    return pool.up and not pool.disabled


def not_tried(pool: Pool, request: Request) -> bool:
    return pool.name not in request.tried


def where_the_source_is(pool: Pool, request: Request) -> bool:
    return request.only is None or service_of(request.only) == pool.service


def zone(pool: Pool, request: Request) -> bool:
    return request.zone in (None, pool.zone)


def room(pool: Pool, request: Request) -> bool:
    """A thin pool may promise more than it has, but each volume must fit into what is free."""
    usable = pool.total_gb * (1 - request.reserved_percentage / 100)
    kept = pool.total_gb - usable
    if pool.capability("thin_provisioning_support"):
        ratio = float(pool.capability("max_over_subscription_ratio") or request.ratio)
        return pool.promised + request.size <= usable * ratio and request.size <= (pool.free_gb - kept) * ratio
    return pool.promised + request.size <= usable and request.size <= pool.free_gb - kept


def same_back_end(pool: Pool, request: Request) -> bool:
    return not request.near or any(service_of(name) == pool.service for name in request.near)


def different_back_end(pool: Pool, request: Request) -> bool:
    return all(service_of(name) != pool.service for name in request.apart)


def shared(pool: Pool, request: Request) -> bool:
    return not request.multiattach or bool(pool.capability("multiattach"))


def capabilities(pool: Pool, request: Request) -> bool:
    """Extra specs of the type: those of the scope `capabilities:`, and those without a scope."""
    for name, wanted in request.extra_specs.items():
        scope, colon, key = name.rpartition(":")
        if name in NOT_CAPABILITIES or (colon and scope != SCOPE):
            continue
        if not fits(pool.capability(key), wanted):
            return False
    return True


def fits(value: object, wanted: str) -> bool:
    """`<is> True` is the form of booleans, which is this service's own."""
    words = wanted.split()
    if words and words[0] == "<is>":
        return str(value).lower() == " ".join(words[1:]).lower()
    return matches(value, wanted)


FILTERS: Mapping[str, Filter] = {
    "in service": in_service,
    "not tried before": not_tried,
    "where the source is": where_the_source_is,
    "availability zone": zone,
    "capacity": room,
    "capabilities": capabilities,
    "multiattach": shared,
    "same back end": same_back_end,
    "different back end": different_back_end,
}
"""In this order; the cheapest first. Names are for logs and reasons."""


def choose(pools: list[Pool], request: Request) -> tuple[Pool | None, str]:
    """The pool with the most room among those that all filters let pass; without one, the filter that let none pass."""
    left = pools
    for name, passes in FILTERS.items():
        left = [pool for pool in left if passes(pool, request)]
        if not left:
            return None, name
    return max(left, key=weight), ""


def weight(pool: Pool) -> tuple[float, str]:
    """What is free and not promised yet; of equal ones the last by name."""
    return min(pool.free_gb, pool.total_gb - pool.promised), pool.name
