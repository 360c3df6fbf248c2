"""Sets of prefixes of one IP version; pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from kilonova.core.addresses import IPNetwork, address_of, parse_network

Span = tuple[int, int]
"""Addresses from the first to the last as numbers, both included."""
Spans = list[Span]
"""In order; between two there is a gap."""


def spans(prefixes: Iterable[IPNetwork]) -> Spans:
    found: Spans = []
    for first, last in sorted((int(one.network_address), int(one.broadcast_address)) for one in prefixes):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def without(one: Spans, other: Spans) -> Spans:
    """What is in the one and not in the other."""
    found: Spans = []
    n = 0
    for first, last in one:
        while n < len(other) and other[n][1] < first:
            n += 1
        at = n
        while at < len(other) and other[at][0] <= last:
            if first < other[at][0]:
                found.append((first, other[at][0] - 1))
            first = other[at][1] + 1
            at += 1
        if first <= last:
            found.append((first, last))
    return found


def overlap(one: Spans, other: Spans) -> bool:
    return without(one, other) != one


def covers(one: Spans, other: Spans) -> bool:
    """Whether all of the other is in the one."""
    return not without(other, one)


def prefixes(found: Spans, version: int) -> list[IPNetwork]:
    """As few as can be, in order."""
    return [
        prefix
        for first, last in found
        for prefix in ipaddress.summarize_address_range(address_of(first, version), address_of(last, version))
    ]


def fitting(found: Sequence[IPNetwork], prefixlen: int) -> IPNetwork | None:
    """A prefix of this length out of the smallest that it fits into, the first of these; None where it fits into none."""
    best = max((one for one in found if one.prefixlen <= prefixlen), key=lambda one: one.prefixlen, default=None)
    if best is None:
        return None
    return parse_network(f"{best.network_address}/{prefixlen}")
