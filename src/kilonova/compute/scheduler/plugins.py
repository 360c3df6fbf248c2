"""Filters and weighers by the names in the options: the built-in ones and those of installed packages."""

from __future__ import annotations

from kilonova.compute.scheduler import filters, weighers
from kilonova.compute.scheduler.filters import Filter
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.weighers import Weigher
from kilonova.core.registry import Registry

FILTERS: Registry[type[Filter]] = Registry(
    "[scheduler] filters", "filter", "scheduler.filters", filters.BUILT_IN, Filter
)
WEIGHERS: Registry[type[Weigher]] = Registry(
    "[scheduler] weighers", "weigher", "scheduler.weighers", weighers.BUILT_IN, Weigher
)


def load_filters(options: SchedulerOptions) -> list[Filter]:
    """In the options' order; raises ConfigError for an unknown name."""
    return [FILTERS[name](options) for name in options.filters]


def load_weighers(options: SchedulerOptions) -> list[Weigher]:
    """Those whose multiplier is not 0; raises ConfigError for an unknown name."""
    made = [WEIGHERS[name](options) for name in options.weighers]
    return [weigher for weigher in made if weigher.multiplier]
