"""Hosts in order of their weights: each weigher stretched to 0..1 over the hosts, times its multiplier, summed up."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

import msgspec

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers import Weigher


class Ranked(msgspec.Struct):
    """A host with its weight; `weights` tells what each weigher gave."""

    host: HostState
    weight: float = 0.0
    weights: dict[str, float] = {}


def rank(
    hosts: Sequence[HostState], weighers: Sequence[Weigher], request: FilterRequest, *, keep: int | None = None
) -> list[Ranked]:
    """Best first, at most `keep` of them; hosts of the same weight stay in their order."""
    columns = [(w.name, _weights(w, hosts, request)) for w in weighers if w.applies(request)]
    differ = [column for _, column in columns if column is not None]
    if not differ:
        return [Ranked(host, 0.0, dict.fromkeys((name for name, _ in columns), 0.0)) for host in hosts[:keep]]
    totals = differ[0] if len(differ) == 1 else _sums(differ)
    best = sorted(range(len(hosts)), key=totals.__getitem__, reverse=True)[:keep]  # stable
    return [
        Ranked(hosts[n], totals[n], {name: column[n] if column is not None else 0.0 for name, column in columns})
        for n in best
    ]


def _sums(columns: Sequence[list[float]]) -> list[float]:
    totals = columns[0]
    for column in columns[1:]:
        totals = list(map(add, totals, column))
    return totals


def _weights(weigher: Weigher, hosts: Sequence[HostState], request: FilterRequest) -> list[float] | None:
    """None where all hosts are alike."""
    raw = weigher.weights(hosts, request)
    low, high = min(raw, default=0.0), max(raw, default=0.0)
    if high == low:
        return None
    scale = weigher.multiplier / (high - low)
    return [(value - low) * scale for value in raw]
