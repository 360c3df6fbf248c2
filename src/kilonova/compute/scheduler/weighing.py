"""Hosts in order of their weights: each weigher stretched to 0..1 over the hosts, times its multiplier, summed up."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from functools import reduce
from itertools import compress
from operator import add

import msgspec

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.request import FilterRequest
from kilonova.compute.scheduler.weighers import PlacedWeigher, Weigher


class Ranked(msgspec.Struct):
    """A host with its weight; `weights` has what each weigher gave."""

    host: HostState
    weight: float = 0.0
    weights: dict[str, float] = {}


class Weights:
    """Of hosts by their places 0, 1, 2 …; only those that are open are stretched over and ranked. What one host's change costs
    does not grow with the number of hosts, unless it moves a weigher's lowest or highest value."""

    def __init__(self, weighers: Sequence[Weigher], request: FilterRequest) -> None:
        self._columns = [_Column(weigher, request) for weigher in weighers if weigher.applies(request)]
        self._totals: list[float] = []
        self._changed: list[int] = []

    def fill(self, hosts: Sequence[HostState], is_open: Sequence[int]) -> None:
        """All anew."""
        for column in self._columns:
            column.fill(hosts, is_open)
        self._totals = []

    def put(self, place: int, host: HostState, *, was_open: int, is_open: int) -> None:
        """The host at this place, or the first one behind the others, has changed."""
        for column in self._columns:
            column.put(place, host, was_open=was_open, is_open=is_open)
        self._changed.append(place)

    def best(
        self, hosts: Sequence[HostState], is_open: Sequence[int], keep: int | None, without: Collection[int] = ()
    ) -> list[Ranked]:
        """Best first, at most `keep` of them; hosts of the same weight in the order of their places."""
        self._sum_up(len(hosts))
        places = compress(range(len(hosts)), is_open)
        among = (place for place in places if place not in without) if without else places
        return [self._ranked(hosts[place], place) for place in self._largest(among, keep)]

    def _sum_up(self, count: int) -> None:
        """Totals by place. What all have in common, a column's lowest value, decides nothing."""
        moved = [column.stretch() for column in self._columns]
        if any(moved) or len(self._totals) != count:
            self._totals = [0.0] * count
            for column in self._columns:
                if scale := column.scale:
                    self._totals = list(map(add, self._totals, [value * scale for value in column.raw]))
        else:
            for place in self._changed:
                self._totals[place] = reduce(add, [column.raw[place] * column.scale for column in self._columns], 0.0)
        self._changed.clear()

    def _largest(self, places: Iterable[int], keep: int | None) -> Sequence[int]:
        key = self._totals.__getitem__
        if keep is None:
            return sorted(places, key=key, reverse=True)
        return heapq.nlargest(keep, places, key=key)

    def _ranked(self, host: HostState, place: int) -> Ranked:
        weights = {column.name: (column.raw[place] - column.low) * column.scale for column in self._columns}
        return Ranked(host, sum(weights.values(), 0.0), weights)


def after(ranked: Sequence[Ranked], placed: Sequence[HostState], weighers: Sequence[PlacedWeigher]) -> Sequence[Ranked]:
    """The hosts in their order once what these weighers say is added, stretched to 0..1 and multiplied as the others'."""
    if not (placed and weighers and len(ranked) > 1):
        return ranked
    hosts = [entry.host for entry in ranked]
    for weigher in weighers:
        raw = weigher.after(placed, hosts)
        low, high = min(raw), max(raw)
        scale = weigher.multiplier / (high - low) if high != low else 0.0
        for entry, value in zip(ranked, raw, strict=True):
            entry.weights[weigher.name] = (value - low) * scale
            entry.weight += (value - low) * scale
    return sorted(ranked, key=lambda entry: -entry.weight)  # stable


class _Column:
    """What a weigher gave to each place; `scale` stretches it, 0 where all open ones are alike."""

    def __init__(self, weigher: Weigher, request: FilterRequest) -> None:
        self.name = weigher.name
        self.raw: list[float] = []
        self.low = self.scale = 0.0
        self._weigher, self._request = weigher, request
        self._counts: Counter[float] = Counter()  # of the open places by their value

    def fill(self, hosts: Sequence[HostState], is_open: Sequence[int]) -> None:
        self.raw = self._weigher.weights(hosts, self._request)
        self._counts = Counter(compress(self.raw, is_open))

    def put(self, place: int, host: HostState, *, was_open: int, is_open: int) -> None:
        if place == len(self.raw):
            self.raw.append(0.0)
        old, new = self.raw[place], self._weigher.weigh(host, self._request)
        self.raw[place] = new
        if was_open:
            self._counts[old] -= 1
            if not self._counts[old]:
                del self._counts[old]
        if is_open:
            self._counts[new] += 1

    def stretch(self) -> bool:
        """Whether that made a difference to weights."""
        low, high, before = min(self._counts, default=0.0), max(self._counts, default=0.0), self.scale
        self.low, self.scale = low, self._weigher.multiplier / (high - low) if high != low else 0.0
        return self.scale != before
