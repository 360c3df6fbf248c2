"""Filters and weighers by the names in the options: the built-in ones and those of installed packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any

from kilonova.compute.scheduler import filters, weighers
from kilonova.compute.scheduler.filters import Filter
from kilonova.compute.scheduler.options import SchedulerOptions
from kilonova.compute.scheduler.weighers import Weigher
from kilonova.core.config import ConfigError


def load_filters(options: SchedulerOptions) -> list[Filter]:
    """In the options' order; raises ConfigError for an unknown name."""
    return [kind(options) for kind in _find("filters", filters.BUILT_IN, options.filters, Filter)]


def load_weighers(options: SchedulerOptions) -> list[Weigher]:
    """Those whose multiplier is not 0; raises ConfigError for an unknown name."""
    made = [kind(options) for kind in _find("weighers", weighers.BUILT_IN, options.weighers, Weigher)]
    return [weigher for weigher in made if weigher.multiplier]


def _find(group: str, built_in: Mapping[str, Any], names: Sequence[str], base: type) -> list[Any]:
    """The classes of these names. Entry points are only read when a name is not built in."""
    known = dict(built_in)
    if any(name not in known for name in names):
        for point in entry_points(group=f"kilonova.scheduler.{group}"):
            if point.name in names and point.name not in known:
                known[point.name] = _load(point, base)
    for name in names:
        if name not in known:
            raise ConfigError(f"[scheduler] {group}: unknown name {name}; known are {', '.join(sorted(known))}")
    return [known[name] for name in names]


def _load(point: Any, base: type) -> Any:
    try:
        kind = point.load()
    except Exception as error:
        raise ConfigError(f"[scheduler] {point.name}: {point.value} can't be loaded: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, base)):
        raise ConfigError(f"[scheduler] {point.name}: {point.value} is no {base.__name__}")
    return kind
