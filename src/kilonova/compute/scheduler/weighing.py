"""Hosts in order of their weights: each weigher stretched to 0..1 over the hosts, times its multiplier, summed up."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers import Weigher


class Ranked(msgspec.Struct):
    """A host with its weight; `weights` tells what each weigher gave."""

    host: HostState
    weight: float = 0.0
    weights: dict[str, float] = {}


def rank(hosts: Sequence[HostState], weighers: Sequence[Weigher], request: FilterRequest) -> list[Ranked]:
    """Best first; hosts of the same weight stay in their order."""
    columns = [(w.name, _weights(w, hosts, request)) for w in weighers if w.applies(request)]
    names = [name for name, _ in columns]
    if not columns:
        return [Ranked(host) for host in hosts]
    rows = list(zip(*(column for _, column in columns), strict=True))
    ranked = [Ranked(host, sum(row), dict(zip(names, row, strict=True))) for host, row in zip(hosts, rows, strict=True)]
    ranked.sort(key=lambda entry: -entry.weight)
    return ranked


def _weights(weigher: Weigher, hosts: Sequence[HostState], request: FilterRequest) -> list[float]:
    weigh, multiplier = weigher.weigh, weigher.multiplier
    raw = [weigh(host, request) for host in hosts]
    low, high = min(raw, default=0.0), max(raw, default=0.0)
    if high == low:
        return [0.0] * len(raw)
    scale = multiplier / (high - low)
    return [(value - low) * scale for value in raw]
