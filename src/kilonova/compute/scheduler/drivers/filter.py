"""The default: filters and weighers of the options."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.candidates import Candidates
from kilonova.compute.scheduler.drivers.base import Driver
from kilonova.compute.scheduler.filters import Filter
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.plugins import load_filters, load_weighers
from kilonova.compute.scheduler.weighers import PlacedWeigher
from kilonova.compute.scheduler.weighing import Ranked, after
from kilonova.core.clock import Dice

KEPT_HOSTS = 100


class FilterDriver(Driver):
    name = "filter"

    def __init__(self, options: SchedulerOptions, dice: Dice) -> None:
        super().__init__(options, dice)
        weighers = load_weighers(options)
        self.weighers = [weigher for weigher in weighers if not isinstance(weigher, PlacedWeigher)]
        self.placed_weighers = [weigher for weigher in weighers if isinstance(weigher, PlacedWeigher)]
        every = options.shuffle_best_same_weighed_hosts or self.placed_weighers
        self.keep = None if every else max(KEPT_HOSTS, options.host_subset_size)

    def load(self) -> list[Filter]:
        return load_filters(self.options)

    def order(self, candidates: Candidates, without: Collection[str], placed: Sequence[HostState]) -> list[Ranked]:
        ranked = list(after(candidates.best(self.keep, without), placed, self.placed_weighers))
        if len(ranked) > 1:
            self._shuffle_best(ranked)
        return ranked

    def _shuffle_best(self, ranked: list[Ranked]) -> None:
        """Options that keep several schedulers from all choosing the same host."""
        if self.options.shuffle_best_same_weighed_hosts:
            best = [entry for entry in ranked if entry.weight == ranked[0].weight]
            self.dice.shuffle(best)
            ranked[: len(best)] = best
        subset = min(self.options.host_subset_size, len(ranked))
        if subset > 1:
            ranked.insert(0, ranked.pop(self.dice.randrange(subset)))
