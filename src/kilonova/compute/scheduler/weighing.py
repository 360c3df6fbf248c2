"""Hosts in order of their weights: each weigher stretched to 0..1 over the hosts, times its multiplier, summed up."""

from __future__ import annotations

import heapq
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
    columns = [_column(weigher, hosts, request) for weigher in weighers if weigher.applies(request)]
    return [_ranked(hosts[n], n, columns) for n in _best(columns, len(hosts), keep)]


class Column(msgspec.Struct):
    """What a weigher gave to all hosts; `scale` stretches it, 0 where all hosts are alike."""

    name: str
    raw: Sequence[float]
    low: float
    scale: float


def _column(weigher: Weigher, hosts: Sequence[HostState], request: FilterRequest) -> Column:
    raw = weigher.weights(hosts, request)
    low, high = min(raw, default=0.0), max(raw, default=0.0)
    return Column(weigher.name, raw, low, weigher.multiplier / (high - low) if high != low else 0.0)


def _best(columns: Sequence[Column], count: int, keep: int | None) -> Sequence[int]:
    """Numbers of hosts. What all have in common, a column's `low`, decides nothing."""
    totals: list[float] = []
    for column in columns:
        if column.scale:
            scaled = [value * column.scale for value in column.raw]
            totals = list(map(add, totals, scaled)) if totals else scaled
    if not totals:
        return range(count)[:keep]
    if keep is None:
        return sorted(range(count), key=totals.__getitem__, reverse=True)
    return heapq.nlargest(keep, range(count), key=totals.__getitem__)


def _ranked(host: HostState, n: int, columns: Sequence[Column]) -> Ranked:
    weights = {column.name: (column.raw[n] - column.low) * column.scale for column in columns}
    return Ranked(host, sum(weights.values(), 0.0), weights)
