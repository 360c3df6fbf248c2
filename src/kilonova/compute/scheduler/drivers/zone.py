"""Filters and weighers, and the servers of a request spread over the availability zones that are open to it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from itertools import chain, zip_longest

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.candidates import Candidates
from kilonova.compute.scheduler.drivers.filter import FilterDriver
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.weighing import Ranked
from kilonova.core.clock import Dice


class ZoneDriver(FilterDriver):
    name = "zone"

    def __init__(self, options: SchedulerOptions, dice: Dice) -> None:
        super().__init__(options, dice)
        self.keep = None  # the best hosts may all be in one zone

    def order(self, candidates: Candidates, without: Collection[str], placed: Sequence[HostState]) -> list[Ranked]:
        """The best host of each zone, the zone with the fewest servers of this request first; then the second best …"""
        zones: defaultdict[str, list[Ranked]] = defaultdict(list)
        for entry in super().order(candidates, without, placed):
            zones[entry.host.availability_zone].append(entry)
        held = Counter(host.availability_zone for host in placed)
        in_turn = sorted(zones, key=lambda zone: held[zone])  # stable: the zone of the best host wins a tie
        rows = zip_longest(*(zones[zone] for zone in in_turn))
        return [entry for entry in chain.from_iterable(rows) if entry is not None]
