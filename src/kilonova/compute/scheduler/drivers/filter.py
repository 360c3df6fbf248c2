"""The default: filters and weighers of the options."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from kilonova.compute.models import HostState
from kilonova.compute.scheduler.candidates import Candidates
from kilonova.compute.scheduler.drivers.base import Driver
from kilonova.compute.scheduler.filters import Filter
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.plugins import load_filters, load_weighers
from kilonova.compute.scheduler.weighing import Ranked
from kilonova.core.clock import Dice

KEPT_HOSTS = 100


class FilterDriver(Driver):
    name = "filter"

    def __init__(self, options: SchedulerOptions, dice: Dice) -> None:
        super().__init__(options, dice)
        self.weighers = load_weighers(options)
        self.keep = None if options.shuffle_best_same_weighed_hosts else max(KEPT_HOSTS, options.host_subset_size)

    def load(self) -> list[Filter]:
        return load_filters(self.options)

    def order(self, candidates: Candidates, without: Collection[str], placed: Sequence[HostState]) -> list[Ranked]:
        ranked = candidates.best(self.keep, without)
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
